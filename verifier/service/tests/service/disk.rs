//! A disk that is full for a while: nothing is half done, and when there is room again the verifier goes on by itself.

use std::{fs, process::Command};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::verifier::{Installation, put, reason};

/// A small file system of a test's own, unmounted with the value.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(path: std::path::PathBuf) -> Result<Self, rustix::io::Errno> {
        fs::create_dir(&path).unwrap();
        mount("tmpfs", &path, "tmpfs", MountFlags::empty(), Some(c"size=4m,mode=0700"))?;
        Ok(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

#[tokio::test]
async fn database_full() {
    let installation = Installation::new("");
    let disk = match SmallDisk::mount(installation.path("small")) {
        Ok(disk) => disk,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "mounting a tmpfs: {error}");
            eprintln!("skipped: mounting a tmpfs: {error}; needs root");
            return;
        }
    };
    let (from, to) = (installation.path("data"), disk.0.join("data"));
    assert!(Command::new("cp").arg("-a").args([&from, &to]).status().unwrap().success());
    let config = fs::read_to_string(installation.config()).unwrap();
    fs::write(installation.config(), config.replace("data_directory = \"data\"", "data_directory = \"small/data\"")).unwrap();
    let verifier = installation.start();
    let mut admin = verifier.admin().await;
    put(&mut admin, "a/before", b"there is room").await.unwrap();

    let ballast = disk.0.join("ballast");
    let free = || rustix::fs::statvfs(&disk.0).map(|fs| fs.f_bavail * fs.f_frsize).unwrap();
    fs::write(&ballast, vec![0; usize::try_from(free()).unwrap() - (48 << 10)]).unwrap();
    let large = vec![7; 60 << 10];
    let mut refused = 0;
    for _ in 0..4 {
        if let Err(status) = put(&mut admin, "a/during", &large).await {
            assert_eq!((status.code(), reason(&status)), (tonic::Code::Internal, "internal"), "{status}");
            refused += 1;
        }
    }
    assert!(refused > 0, "the disk was never full");

    fs::remove_file(&ballast).unwrap();
    put(&mut admin, "a/after", b"there is room again").await.unwrap();
    let secrets = admin.list_secrets(podseal_wire::Empty {}).await.unwrap().into_inner().secrets;
    assert!(["a/before", "a/after"].iter().all(|name| secrets.iter().any(|secret| secret.name == *name)), "{secrets:?}");
    let (_, code, log) = verifier.stop().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("transaction failed"), "{log}");
}
