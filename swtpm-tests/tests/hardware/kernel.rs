use std::fs;
use std::path::Path;
use std::process::Command;

use podseal_node_attester::collect::tdx::{Ccel, Rtmr, ccel};
use podseal_node_attester::collect::tsm::{Provider, Tsm, TsmReport};
use podseal_swtpm_tests::error::BenchError;
use podseal_swtpm_tests::hardware::kernel::{Asked, BootLog, Driver, GuestKernel, Reply, Reporter};

/// Over everything that was asked.
fn reporter(word: &'static [u8]) -> Reporter {
    Box::new(move |asked: &Asked| {
        let report = [word, &asked.report_data, &[asked.privlevel as u8], &asked.rtmr3].concat();
        Ok(Reply { report, auxiliary: (word == b"snp").then(|| b"table".to_vec()) })
    })
}

/// A kernel over a folder, or nothing where none can be mounted.
fn kernel(folder: &Path, driver: Driver, boot_log: Option<BootLog>, word: &'static [u8]) -> Option<GuestKernel> {
    if let Some(obstacle) = GuestKernel::obstacle() {
        eprintln!("skipped: {obstacle}");
        return None;
    }
    Some(GuestKernel::mount(folder, driver, boot_log, reporter(word)).unwrap())
}

fn tsm(kernel: &GuestKernel, entry: &'static str, privlevel: Option<u8>) -> Tsm {
    Tsm { folder: kernel.reports(), entry, privlevel }
}

#[test]
fn a_node_gets_a_report_over_its_data() {
    let dir = tempfile::tempdir().unwrap();
    let Some(kernel) = kernel(dir.path(), Driver::SevGuest, None, b"snp") else { return };
    let found = tsm(&kernel, "mine", None).collect(&[5; 64]).unwrap();
    let report = |level: u8, data: u8| [b"snp".as_slice(), &[data; 64], &[level], &[0; 48]].concat();
    let auxiliary = Some(b"table".to_vec());
    assert_eq!(found, TsmReport { provider: Provider::SevGuest, report: report(0, 5), auxiliary, generation: 1 });
    let found = tsm(&kernel, "mine", Some(2)).collect(&[6; 64]).unwrap();
    assert_eq!((found.report, found.generation), (report(2, 6), 2));
    assert!(tsm(&kernel, "mine", Some(4)).collect(&[6; 64]).is_err());
    assert_eq!(fs::read_dir(kernel.reports()).unwrap().count(), 0, "entries go");
    assert_eq!(kernel.asked().iter().map(|asked| asked.report_data[0]).collect::<Vec<_>>(), [5, 6], "one report for each question");
    kernel.answer_by(reporter(b"another"));
    let found = tsm(&kernel, "mine", None).collect(&[5; 64]).unwrap();
    assert!(found.report.starts_with(b"another") && found.auxiliary.is_none());
    kernel.answer_by(Box::new(|_| Err(BenchError::answer("the chip", "nothing", "a report"))));
    assert!(tsm(&kernel, "mine", None).collect(&[5; 64]).is_err());
    assert!(kernel.failure().unwrap().contains("the chip"));
    drop(kernel);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "unmounted");
}

#[test]
fn two_entries_do_not_meet() {
    let dir = tempfile::tempdir().unwrap();
    let Some(kernel) = kernel(dir.path(), Driver::TdxGuest, None, b"tdx") else { return };
    let [one, other] = ["one", "other"].map(|entry| kernel.reports().join(entry));
    for (entry, data) in [(&one, [1; 64]), (&other, [2; 64])] {
        fs::create_dir(entry).unwrap();
        fs::write(entry.join("inblob"), data).unwrap();
    }
    assert_eq!(fs::create_dir(&one).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(one.join("outblob")).unwrap()[3..5], [1, 1]);
    assert_eq!(fs::read(other.join("outblob")).unwrap()[3..5], [2, 2]);
    fs::write(one.join("inblob"), [3; 64]).unwrap();
    assert_eq!(fs::read(one.join("outblob")).unwrap()[3..5], [3, 3]);
    assert_eq!(fs::read_to_string(one.join("generation")).unwrap(), "2\n");
    assert_eq!(fs::read_to_string(other.join("generation")).unwrap(), "1\n");
    assert_eq!(fs::read_to_string(other.join("provider")).unwrap(), "tdx_guest\n");
    assert!(!one.join("privlevel").exists() && fs::read(one.join("auxblob")).unwrap().is_empty());
    fs::write(one.join("inblob"), [3; 63]).unwrap();
    assert!(fs::read(one.join("outblob")).is_err(), "the driver takes 64 bytes");
    fs::remove_dir(&one).unwrap();
    assert!(!one.exists() && other.exists());
    let listed = Command::new("ls").arg(&other).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&listed.stdout), "auxblob\ngeneration\ninblob\noutblob\nprovider\n");
}

#[test]
fn the_register_is_extended_and_is_in_the_next_report() {
    let dir = tempfile::tempdir().unwrap();
    let boot_log = BootLog { table: [b"CCEL".as_slice(), &[0; 52]].concat(), log: vec![7; 100_000] };
    let Some(kernel) = kernel(dir.path(), Driver::TdxGuest, Some(boot_log.clone()), b"tdx") else { return };
    let register = Rtmr(kernel.rtmr());
    assert_eq!(register.value().unwrap(), [0; 48]);
    let value = register.extend(&[9; 48]).unwrap();
    assert_eq!(kernel.rtmr3(), value);
    let found = tsm(&kernel, "mine", None).collect(&[5; 64]).unwrap();
    assert!(found.report.ends_with(&value));
    assert!(fs::write(kernel.rtmr(), [1; 47]).is_err());
    let found = ccel(&kernel.ccel_table(), &kernel.ccel(), 1 << 20).unwrap();
    assert_eq!(found, Ccel { table: boot_log.table, log: boot_log.log });
    kernel.reboot(None);
    assert_eq!(register.value().unwrap(), [0; 48]);
    assert!(!kernel.ccel().exists());
}
