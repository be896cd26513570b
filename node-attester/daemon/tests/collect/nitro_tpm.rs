//! A NitroTPM as bytes on a socket: each command is taken apart by its offsets (TPM 2.0 Part 3), and the session's HMAC is computed anew.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread::JoinHandle,
};

use aws_lc_rs::{
    digest::{SHA512, digest},
    encoding::AsDer as _,
    hmac,
    rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey},
};
use podseal_node_attester::{
    collect::{CollectError, nitro_tpm, nsm_message::Request},
    config::Tcti,
};

use crate::swtpm::{Maker, Swtpm};

const KEY: u32 = 0x8000_0000;
const PERSISTENT: u32 = 0x8101_0001;
const SESSION: u32 = 0x0200_0000;
/// The first one is in use.
const TAKEN: u32 = 0x0180_0000;
const EK_PREFIX: &str =
    "0001000b000300b20020837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa00060080004300100800000000000100";

#[derive(Clone, Default)]
pub(crate) struct Behaviour {
    /// The EK lies at its persistent handle.
    persistent: bool,
    /// Response codes by command code.
    refuses: BTreeMap<u32, u32>,
    /// The module's answer in the place of a document.
    says: Option<Vec<u8>>,
    /// The first definition finds the index taken.
    taken_meanwhile: bool,
    not_amazon: bool,
    /// TPM_PT_NV_BUFFER_MAX, if it is not 1000.
    buffer: Option<u32>,
}

pub(crate) struct Fake {
    behaviour: Behaviour,
    key: PrivateDecryptingKey,
    /// What there is: handle of the index, its authorization, what it holds.
    index: Option<(u32, Vec<u8>, Vec<u8>)>,
    session: Option<(Vec<u8>, Vec<u8>)>,
    key_loaded: bool,
    seen: Vec<u32>,
}

fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

/// The buffer at `at`, and where it ends.
fn buffer(bytes: &[u8], at: usize) -> (&[u8], usize) {
    let length = usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    (&bytes[at + 2..at + 2 + length], at + 2 + length)
}

/// The password of an authorization area at `at`, and where the area ends.
fn password(command: &[u8], at: usize) -> (&[u8], usize) {
    let end = at + 4 + be32(&command[at..]) as usize;
    assert_eq!(be32(&command[at + 4..]), 0x4000_0009, "TPM_RS_PW");
    assert_eq!(&command[at + 8..at + 11], [0, 0, 0], "no nonce, no attributes");
    let (password, after) = buffer(command, at + 11);
    assert_eq!(after, end);
    (password, end)
}

impl Fake {
    pub(crate) fn start(behaviour: Behaviour) -> (Tcti, JoinHandle<Self>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcti = Tcti::Swtpm { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let mut fake = Self { behaviour, key, index: None, session: None, key_loaded: false, seen: Vec::new() };
        let thread = std::thread::spawn(move || {
            fake.serve(listener.accept().unwrap().0);
            fake
        });
        (tcti, thread)
    }

    fn serve(&mut self, mut client: TcpStream) {
        let mut head = [0; 10];
        while client.read_exact(&mut head).is_ok() {
            let mut command = head.to_vec();
            command.resize(be32(&head[2..]) as usize, 0);
            client.read_exact(&mut command[10..]).unwrap();
            let code = be32(&head[6..]);
            self.seen.push(code);
            let refused = self.behaviour.refuses.get(&code).copied();
            let (code, body) = refused.map_or_else(|| self.answer(code, &command), |code| (code, Vec::new()));
            let size = u32::try_from(10 + body.len()).unwrap();
            client.write_all(&[&head[..2], &size.to_be_bytes(), &code.to_be_bytes(), &body].concat()).unwrap();
        }
    }

    fn answer(&mut self, code: u32, c: &[u8]) -> (u32, Vec<u8>) {
        let body = match code {
            0x17a => self.capability(c),
            0x12a => return self.define(c),
            0x122 => {
                assert_eq!((be32(&c[10..]), password(c, 18).0), (0x4000_0001, [].as_slice()));
                assert_eq!(be32(&c[14..]), self.index.take().unwrap().0);
                vec![0, 0, 0, 0]
            }
            0x137 => self.write(c),
            0x14e => self.read(c),
            0x173 if self.behaviour.persistent && be32(&c[10..]) == PERSISTENT => sized(&self.public()),
            0x173 => return (0x18b, Vec::new()),
            0x131 => self.create_primary(c),
            0x176 => self.start_session(c),
            0x2000_0001 => self.vendor(c),
            0x165 => {
                match be32(&c[10..]) {
                    KEY => assert!(std::mem::take(&mut self.key_loaded)),
                    SESSION => assert!(self.session.take().is_some()),
                    other => panic!("flushes {other:#x}"),
                }
                Vec::new()
            }
            other => panic!("command {other:#x}"),
        };
        (0, body)
    }

    fn capability(&self, c: &[u8]) -> Vec<u8> {
        let (kind, property) = (be32(&c[10..]), be32(&c[14..]));
        let values = match (kind, property) {
            (6, 0x105) => vec![property, be32(if self.behaviour.not_amazon { b"IBM\0" } else { b"AMZN" })],
            (6, 0x12c) => vec![property, self.behaviour.buffer.unwrap_or(1000)],
            (1, TAKEN) => return [&[0], &kind.to_be_bytes()[..], &1_u32.to_be_bytes(), &TAKEN.to_be_bytes()].concat(),
            other => panic!("capability {other:?}"),
        };
        let values: Vec<u8> = values.into_iter().flat_map(u32::to_be_bytes).collect();
        [&[0], &kind.to_be_bytes()[..], &1_u32.to_be_bytes(), &values].concat()
    }

    fn define(&mut self, c: &[u8]) -> (u32, Vec<u8>) {
        assert_eq!((be32(&c[10..]), password(c, 14).0), (0x4000_0001, [].as_slice()));
        let (auth, at) = buffer(c, password(c, 14).1);
        let (public, end) = buffer(c, at);
        assert_eq!((auth.len(), end), (64, c.len()));
        assert_ne!(auth[63], 0, "a TPM would cut it off");
        let handle = be32(public);
        assert_eq!(public[4..], unhex("000d0004000400002000"), "SHA-512, AUTHREAD and AUTHWRITE, no policy, 8192 bytes");
        if std::mem::take(&mut self.behaviour.taken_meanwhile) {
            return (0x14c, Vec::new());
        }
        assert_ne!(handle, TAKEN);
        self.index = Some((handle, auth.to_vec(), vec![0xff; 8192]));
        (0, vec![0, 0, 0, 0])
    }

    fn write(&mut self, c: &[u8]) -> Vec<u8> {
        let (handle, auth, held) = self.index.as_mut().unwrap();
        assert_eq!((be32(&c[10..]), be32(&c[14..])), (*handle, *handle));
        let (given, at) = password(c, 18);
        assert_eq!(given, auth);
        let (bytes, at) = buffer(c, at);
        assert!(bytes.len() <= 1000, "TPM_PT_NV_BUFFER_MAX");
        let offset = usize::from(u16::from_be_bytes([c[at], c[at + 1]]));
        held[offset..offset + bytes.len()].copy_from_slice(bytes);
        vec![0, 0, 0, 0]
    }

    fn read(&self, c: &[u8]) -> Vec<u8> {
        let (handle, auth, held) = self.index.as_ref().unwrap();
        assert_eq!((be32(&c[10..]), be32(&c[14..])), (*handle, *handle));
        let (given, at) = password(c, 18);
        assert_eq!(given, auth);
        let number = |at: usize| usize::from(u16::from_be_bytes([c[at], c[at + 1]]));
        let (size, offset) = (number(at), number(at + 2));
        assert!(size <= 1000);
        let data = sized(&held[offset..offset + size]);
        [&u32::try_from(data.len()).unwrap().to_be_bytes(), data.as_slice(), &[0, 0, 1, 0, 0]].concat()
    }

    /// TPMT_PUBLIC of the EK: its DER ends in the modulus and the exponent.
    fn public(&self) -> Vec<u8> {
        let der = self.key.public_key().as_der().unwrap().as_ref().to_vec();
        let modulus = &der[der.len() - 5 - 256..der.len() - 5];
        [&unhex(EK_PREFIX), modulus].concat()
    }

    fn create_primary(&mut self, c: &[u8]) -> Vec<u8> {
        assert_eq!((be32(&c[10..]), password(c, 14).0), (0x4000_000b, [].as_slice()));
        let (sensitive, at) = buffer(c, password(c, 14).1);
        let (public, at) = buffer(c, at);
        assert_eq!(sensitive, [0; 4]);
        assert_eq!(public, [unhex(EK_PREFIX), vec![0; 256]].concat());
        assert_eq!(&c[at..], [0; 6], "no outside info, no PCRs");
        self.key_loaded = true;
        let public = sized(&self.public());
        let parameters = [public.as_slice(), &[0; 40]].concat();
        [&KEY.to_be_bytes()[..], &u32::try_from(parameters.len()).unwrap().to_be_bytes(), &parameters].concat()
    }

    fn start_session(&mut self, c: &[u8]) -> Vec<u8> {
        let key = if self.behaviour.persistent { PERSISTENT } else { KEY };
        assert_eq!((be32(&c[10..]), be32(&c[14..])), (key, 0x4000_0007), "salted to the EK, bound to nothing");
        let (caller, at) = buffer(c, 18);
        let (encrypted, at) = buffer(c, at);
        assert_eq!(c[at..], [0, 0, 0x10, 0, 0x0d], "TPM_SE_HMAC, no encryption, SHA-512");
        let key = OaepPrivateDecryptingKey::new(self.key.clone()).unwrap();
        let mut salt = vec![0; 256];
        let salt = key.decrypt(&OAEP_SHA256_MGF1SHA256, encrypted, &mut salt, Some(b"SECRET\0")).unwrap();
        assert_eq!(salt.len(), 32);
        let nonce = vec![0x5a; 64];
        let block = [&[0, 0, 0, 1], b"ATH\0".as_slice(), &nonce, caller, &[0, 0, 2, 0]].concat();
        let session = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, salt), &block);
        self.session = Some((session.as_ref().to_vec(), nonce.clone()));
        [&SESSION.to_be_bytes()[..], &sized(&nonce)].concat()
    }

    fn vendor(&mut self, c: &[u8]) -> Vec<u8> {
        let (session, nonce) = self.session.as_ref().unwrap();
        let (handle, auth, held) = self.index.as_mut().unwrap();
        assert_eq!(c[..2], [0x80, 0x02], "TPM_ST_SESSIONS");
        assert_eq!((be32(&c[10..]), be32(&c[14..])), (*handle, *handle));
        let end = 22 + be32(&c[18..]) as usize;
        assert_eq!((end, be32(&c[22..])), (c.len(), SESSION));
        let (caller, at) = buffer(c, 26);
        let (mac, after) = buffer(c, at + 1);
        assert_eq!((c[at], after), (1, end), "continueSession");
        let public = [&handle.to_be_bytes()[..], &unhex("000d2004000400002000")].concat();
        let name = [&[0, 0x0d], digest(&SHA512, &public).as_ref()].concat();
        let parameters = digest(&SHA512, &[&[0x20, 0, 0, 1], name.as_slice(), &name].concat());
        let key = hmac::Key::new(hmac::HMAC_SHA512, &[session.as_slice(), auth].concat());
        hmac::verify(&key, &[parameters.as_ref(), caller, nonce, &[1]].concat(), mac).expect("the command is authorized");
        let document = [&[0x84; 5000], b"for ".as_slice(), &held[..120]].concat();
        let length = u16::try_from(document.len()).unwrap().to_be_bytes();
        let answer = [b"\xa1\x6bAttestation\xa1\x68document\x59".as_slice(), &length, &document].concat();
        let answer = self.behaviour.says.clone().unwrap_or(answer);
        held[..answer.len()].copy_from_slice(&answer);
        [&[0; 4][..], &sized(&[1; 64]), &[1], &sized(&[2; 64])].concat()
    }
}

fn collect(behaviour: &Behaviour) -> (Result<Vec<u8>, CollectError>, Fake) {
    let (tcti, fake) = Fake::start(behaviour.clone());
    let found = nitro_tpm::collect(&tcti, &Request { nonce: Some(&[6; 64]), ..Request::default() });
    (found, fake.join().unwrap())
}

#[test]
fn a_document_comes_through_the_index_and_nothing_stays() {
    for persistent in [false, true] {
        let (found, fake) = collect(&Behaviour { persistent, ..Behaviour::default() });
        let found = found.unwrap();
        let request = Request { nonce: Some(&[6; 64]), ..Request::default() }.encode();
        assert!(found.starts_with(&[0x84; 5000]) && found.windows(request.len()).any(|window| window == request));
        assert!(fake.index.is_none() && fake.session.is_none() && !fake.key_loaded, "index, session and key are gone");
        assert_eq!(fake.seen.contains(&0x131), !persistent, "the EK is made only where it does not lie");
    }
}

#[test]
fn a_request_that_is_longer_than_one_command_goes_in_parts() {
    let (tcti, fake) = Fake::start(Behaviour::default());
    let (data, key) = ([1; 512], [2; 1024]);
    let request = Request { user_data: Some(&data), nonce: Some(&data), public_key: Some(&key) };
    assert!(nitro_tpm::collect(&tcti, &request).is_ok());
    assert_eq!(fake.join().unwrap().seen.iter().filter(|code| **code == 0x137).count(), 3);
}

#[test]
fn an_index_that_was_taken_meanwhile_is_another_one() {
    let (found, fake) = collect(&Behaviour { taken_meanwhile: true, ..Behaviour::default() });
    assert!(found.is_ok());
    assert_eq!(fake.seen.iter().filter(|code| **code == 0x12a).count(), 2);
}

#[test]
fn nothing_stays_behind_a_step_that_failed() {
    for (code, step) in [
        (0x12a, "TPM2_NV_DefineSpace"),
        (0x137, "TPM2_NV_Write"),
        (0x131, "TPM2_CreatePrimary"),
        (0x176, "TPM2_StartAuthSession"),
        (0x2000_0001, "TPM2_VENDOR_AWS_NSM_REQUEST"),
        (0x14e, "TPM2_NV_Read"),
    ] {
        let (found, fake) = collect(&Behaviour { refuses: [(code, 0x922)].into(), ..Behaviour::default() });
        let error = found.unwrap_err();
        assert!(matches!(&error, CollectError::Tpm { step: found, code: 0x922, .. } if found.starts_with(step)), "{error}");
        assert!(fake.index.is_none() && fake.session.is_none() && !fake.key_loaded, "{step}");
    }
    // Where it cannot be removed, that is said.
    let (found, _) = collect(&Behaviour { refuses: [(0x122, 0x922)].into(), ..Behaviour::default() });
    assert!(found.unwrap_err().to_string().contains("tpm2_nvundefine"));
}

#[test]
fn what_the_module_refuses_is_told() {
    let says = Some(b"\xa1\x65Error\x6fInvalidArgument".to_vec());
    let (found, fake) = collect(&Behaviour { says, ..Behaviour::default() });
    let error = found.unwrap_err();
    assert!(matches!(&error, CollectError::Nsm { said, .. } if said == "InvalidArgument"), "{error}");
    assert!(fake.index.is_none());
}

#[test]
fn a_nitro_tpm_is_known_by_its_maker() {
    for not_amazon in [false, true] {
        let (tcti, fake) = Fake::start(Behaviour { not_amazon, ..Behaviour::default() });
        assert_eq!(nitro_tpm::is_there(&tcti).unwrap(), !not_amazon);
        fake.join().unwrap();
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = Tcti::Swtpm { host: "127.0.0.1".to_owned(), port: nobody };
    assert!(nitro_tpm::is_there(&nobody).unwrap_err().to_string().contains("correct tpm.tcti"));
    let missing = Tcti::Device("/nonexistent/tpm".into());
    assert!(nitro_tpm::is_there(&missing).unwrap_err().to_string().contains("device:/nonexistent/tpm: connect"));
}

#[test]
fn what_is_no_response_is_refused() {
    for response in [vec![0x80, 1, 0, 0, 0, 9, 0, 0, 0, 0], vec![0x80, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], b"HTTP/1.1 400".to_vec()] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcti = Tcti::Swtpm { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };
        let other = std::thread::spawn(move || {
            let mut client = listener.accept().unwrap().0;
            let _command = client.read(&mut [0; 64]).unwrap();
            client.write_all(&response).unwrap();
        });
        assert!(nitro_tpm::is_there(&tcti).unwrap_err().to_string().contains("a response of"));
        other.join().unwrap();
    }
}

#[test]
fn a_tpm_that_takes_nothing_at_a_time_is_refused() {
    let (found, fake) = collect(&Behaviour { buffer: Some(0), ..Behaviour::default() });
    assert!(found.unwrap_err().to_string().contains("TPM_PT_NV_BUFFER_MAX"));
    assert!(fake.index.is_none());
}

/// A file that is first written and then read on, as a device is: behind a command's 22 bytes lies the response.
#[test]
fn a_device_takes_a_command_by_one_write_and_answers_by_one_read() {
    let dir = tempfile::tempdir().unwrap();
    let device = dir.path().join("tpmrm0");
    let good = unhex("80010000001b0000000000000000060000000100000105414d5a4e");
    let ask = |response: &[u8]| {
        fs::write(&device, [&[0; 22], response].concat()).unwrap();
        nitro_tpm::is_there(&Tcti::Device(device.clone()))
    };
    assert!(ask(&good).unwrap());
    assert_eq!(fs::read(&device).unwrap()[..22], unhex("8001000000160000017a000000060000010500000001"));
    let longer = [good.as_slice(), &[0]].concat();
    let another_property = [&good[..22], &[6], &good[23..]].concat();
    for response in [&good[..26], &good[..5], &[], &longer, &another_property] {
        let error = ask(response).unwrap_err().to_string();
        assert!(error.contains("a response of another form"), "{error}");
    }
    let refused = unhex("80010000000a00000101");
    assert!(matches!(ask(&refused).unwrap_err(), CollectError::Tpm { code: 0x101, .. }));
}

/// A software TPM takes the commands up to the index, for which it has no room.
#[test]
fn a_software_tpm_is_no_nitro_tpm() {
    let maker = Maker::new();
    let tpm = Swtpm::start(maker.make("node-a"));
    assert!(!nitro_tpm::is_there(&tpm.tcti()).unwrap());
    let error = nitro_tpm::collect(&tpm.tcti(), &Request::default()).unwrap_err();
    assert!(matches!(&error, CollectError::Tpm { step: "TPM2_NV_DefineSpace", code: 0x2d5 | 0x1d5, .. }), "{error}");
}
