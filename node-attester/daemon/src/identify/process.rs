//! What `/proc` says about a process (proc(5)).

use std::{fs::File, io::Read as _, path::Path};

use podseal_protocol::require;

use super::Refusal;

/// Longest file of `/proc` that is taken, in bytes.
const MOST: u64 = 64 << 10;
/// Position of `starttime` (field 22) behind the command's closing parenthesis, where field 3 is the first.
const START_TIME: usize = 22 - 3;

/// Field 22 of `/proc/PID/stat`: clock ticks since boot.
pub(super) fn start_time(pid: i32) -> Result<u64, Refusal> {
    let path = format!("/proc/{pid}/stat");
    let text = read(&path)?;
    start_time_in(&text).ok_or_else(|| Refusal::Proc { path, problem: "no start time in it".to_owned() })
}

/// The command (field 2) may contain anything, parentheses and spaces too: it ends at the last `)`.
fn start_time_in(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(START_TIME)?.parse().ok()
}

/// `/proc/PID/cgroup`.
pub(super) fn cgroup(pid: i32) -> Result<String, Refusal> {
    read(&format!("/proc/{pid}/cgroup"))
}

fn read(path: &str) -> Result<String, Refusal> {
    let mut bytes = Vec::new();
    let wrong = |problem: String| Refusal::Proc { path: path.to_owned(), problem };
    let read = File::open(Path::new(path)).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes));
    read.map_err(|e| wrong(e.to_string()))?;
    require(bytes.len() as u64 <= MOST, wrong(format!("longer than {MOST} bytes")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{start_time, start_time_in};

    #[test]
    fn a_command_cannot_forge_the_start_time() {
        let fields = "S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 4096 1";
        for command in ["sh", "a b", ") S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 1 4096 1", "(", "))"] {
            assert_eq!(start_time_in(&format!("42 ({command}) {fields}")), Some(777), "{command}");
        }
        assert_eq!(start_time_in("42 (sh) S 1"), None);
        assert_eq!(start_time_in(""), None);
    }

    #[test]
    fn this_process_has_a_start_time() {
        assert_eq!(start_time(std::process::id().cast_signed()), start_time(std::process::id().cast_signed()));
        assert!(start_time(std::process::id().cast_signed()).is_ok_and(|t| t > 0));
        assert!(start_time(-1).is_err());
    }

    #[test]
    fn what_is_longer_is_not_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cgroup").display().to_string();
        std::fs::write(&path, vec![b'x'; super::MOST as usize]).unwrap();
        assert_eq!(super::read(&path).unwrap().len(), super::MOST as usize);
        std::fs::write(&path, vec![b'x'; super::MOST as usize + 1]).unwrap();
        assert!(super::read(&path).is_err());
    }
}
