//! A report entry of configfs-tsm and its attributes.

use fuser::Errno;

use super::{Asked, Driver, Guest, Reply};

/// Where an entry's attributes stand: the place of each is its number.
pub(super) const ATTRIBUTES: [&str; 7] = ["inblob", "outblob", "auxblob", "provider", "generation", "privlevel", "privlevel_floor"];
/// Those of privilege levels are there for SEV-SNP only.
const WITHOUT_LEVELS: usize = 5;
/// VMPLs are 0 to 3.
const MOST_PRIVLEVEL: u32 = 3;

/// An entry.
#[derive(Debug)]
pub(super) struct Entry {
    /// The how-manieth it is.
    pub(super) number: u64,
    pub(super) name: String,
    inblob: Vec<u8>,
    privlevel: u32,
    generation: u64,
    /// With the generation that it was made for.
    reply: Option<(u64, Reply)>,
}

impl Entry {
    pub(super) fn new(number: u64, name: String) -> Self {
        Self { number, name, inblob: Vec::new(), privlevel: 0, generation: 0, reply: None }
    }
}

impl Driver {
    /// The attributes of its entries.
    pub(super) fn attributes(self) -> &'static [&'static str] {
        match self {
            Self::SevGuest => &ATTRIBUTES,
            Self::TdxGuest => &ATTRIBUTES[..WITHOUT_LEVELS],
        }
    }
}

/// Permissions of an attribute.
pub(super) fn mode(attribute: &str) -> u16 {
    if matches!(attribute, "inblob" | "privlevel") { 0o200 } else { 0o400 }
}

impl Guest {
    pub(super) fn read_attribute(&mut self, number: u64, attribute: &str) -> Result<Vec<u8>, Errno> {
        let driver = self.driver;
        let entry = self.entries.iter().find(|entry| entry.number == number).ok_or(Errno::ENOENT)?;
        match attribute {
            "provider" => Ok(format!("{}\n", driver.name()).into_bytes()),
            "generation" => Ok(format!("{}\n", entry.generation).into_bytes()),
            "privlevel_floor" => Ok(b"0\n".to_vec()),
            "outblob" => Ok(self.reply(number)?.report),
            "auxblob" => Ok(self.reply(number)?.auxiliary.unwrap_or_default()),
            _ => Err(Errno::EACCES),
        }
    }

    /// Each write is a value of its own, and a generation.
    pub(super) fn write_attribute(&mut self, number: u64, attribute: &str, bytes: &[u8]) -> Result<(), Errno> {
        let entry = self.entries.iter_mut().find(|entry| entry.number == number).ok_or(Errno::ENOENT)?;
        match attribute {
            "inblob" if (1..=64).contains(&bytes.len()) => entry.inblob = bytes.to_vec(),
            "privlevel" => {
                let level = std::str::from_utf8(bytes).ok().and_then(|text| text.trim_ascii().parse().ok());
                entry.privlevel = level.filter(|level| *level <= MOST_PRIVLEVEL).ok_or(Errno::EINVAL)?;
            }
            "inblob" => return Err(Errno::EINVAL),
            _ => return Err(Errno::EACCES),
        }
        entry.generation += 1;
        Ok(())
    }

    /// The report over what was last written: made once for each generation.
    fn reply(&mut self, number: u64) -> Result<Reply, Errno> {
        let entry = self.entries.iter_mut().find(|entry| entry.number == number).ok_or(Errno::ENOENT)?;
        if let Some((_, reply)) = entry.reply.as_ref().filter(|(generation, _)| *generation == entry.generation) {
            return Ok(reply.clone());
        }
        // Both drivers take 64 bytes and nothing else.
        let report_data = entry.inblob.as_slice().try_into().map_err(|_| Errno::EINVAL)?;
        let asked = Asked { report_data, privlevel: entry.privlevel, rtmr3: self.rtmr3 };
        self.asked.push(asked.clone());
        match (self.reporter)(&asked) {
            Ok(reply) => {
                entry.reply = Some((entry.generation, reply.clone()));
                Ok(reply)
            }
            Err(error) => {
                self.failure = Some(error.to_string());
                Err(Errno::EIO)
            }
        }
    }
}
