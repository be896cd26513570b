//! The secrets are placed in the attester's own tmpfs, all or none.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
};

use crate::{
    attester::Answer,
    container::{Container, FILES, USER, assert_nothing_happened, run, stderr, stdout},
    verifier::Verifier,
};

const RUN: &[&str] = &["--", "echo", "ran"];

#[test]
fn folder_on_a_disk() {
    let container = Container::bare();
    fs::set_permissions(container.secrets(), Permissions::from_mode(0o755)).unwrap();
    if rustix::fs::statfs(container.secrets().as_path()).unwrap().f_type == 0x0102_1994 {
        return crate::container::skip("folder_on_a_disk", "the temporary folder is itself a tmpfs");
    }
    let _attester = container.delivers(&[], &[]);
    assert_nothing_happened(&container, &run(&mut container.launch(RUN)), 73, "wanted the attester's tmpfs");
}

#[test]
fn folder_in_a_tmpfs_that_is_no_mount_of_its_own() {
    let Some(container) = Container::new("folder_in_a_tmpfs_that_is_no_mount_of_its_own") else { return };
    let inner = container.secrets().join("inner");
    fs::create_dir(&inner).unwrap();
    std::os::unix::fs::chown(&inner, Some(USER), Some(USER)).unwrap();
    let _attester = container.delivers(&[], &[]);
    let arguments = container.arguments(RUN);
    let arguments =
        arguments.iter().map(|word| if *word == container.secrets().to_str().unwrap() { inner.to_str().unwrap() } else { word });
    let output = run(container.command(&container.launcher()).args(arguments));
    assert_eq!(output.status.code(), Some(73));
    assert!(stderr(&output).contains("wanted a mount of its own"), "{}", stderr(&output));
    assert_eq!(fs::read_dir(inner).unwrap().count(), 0);
}

#[test]
fn tmpfs_that_others_may_write() {
    let options = format!("mode=0770,uid={USER}");
    let Some(container) = Container::mounted("tmpfs_that_others_may_write", &options) else { return };
    let _attester = container.delivers(&[], &[]);
    assert_nothing_happened(&container, &run(&mut container.launch(RUN)), 73, "found mode 0770, wanted 0700");
}

#[test]
fn tmpfs_of_another_user() {
    let Some(container) = Container::mounted("tmpfs_of_another_user", "mode=0755,uid=0") else { return };
    let _attester = container.delivers(&[], &[]);
    assert_nothing_happened(&container, &run(&mut container.launch(RUN)), 73, "must be writable for this container's user");
}

#[test]
fn no_secrets_folder() {
    let container = Container::bare();
    let _attester = container.delivers(&[], &[]);
    fs::remove_dir(container.secrets()).unwrap();
    let output = run(&mut container.launch(RUN));
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(73), ""));
    assert!(stderr(&output).contains("the pod needs an empty directory there"), "{}", stderr(&output));
}

#[test]
fn secrets_folder_is_no_link() {
    let Some(container) = Container::new("secrets_folder_is_no_link") else { return };
    let link = container.path("link");
    symlink(container.secrets(), &link).unwrap();
    let _attester = container.delivers(&[], &[]);
    let arguments = container.arguments(RUN);
    let arguments = arguments.iter().map(|word| if *word == container.secrets().to_str().unwrap() { link.to_str().unwrap() } else { word });
    let output = run(container.command(&container.launcher()).args(arguments));
    assert_eq!(output.status.code(), Some(73), "{}", stderr(&output));
    assert_eq!(container.placed(), Vec::<String>::new());
}

/// The last of the two files exists already: the first, placed by then, is taken away, and what was there stays as it was.
#[test]
fn name_that_is_taken() {
    let Some(container) = Container::new("name_that_is_taken") else { return };
    let (last, _) = FILES[1];
    symlink(container.path("outside"), container.secrets().join(last)).unwrap();
    let _attester = container.delivers(&[], &[]);
    let output = run(&mut container.launch(RUN));
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(73), ""));
    assert!(stderr(&output).contains("the tmpfs is not fresh"), "{}", stderr(&output));
    assert_eq!(container.placed(), [last]);
    assert!(!container.path("outside").exists());
}

#[test]
fn tmpfs_too_small_leaves_nothing_half_written() {
    let options = format!("mode=0700,uid={USER},size=64k");
    let Some(container) = Container::mounted("tmpfs_too_small_leaves_nothing_half_written", &options) else { return };
    let verifier = Verifier::new(1);
    let _attester = container.attester(vec![Box::new(move |request| {
        let release = verifier.release(request, &[("small", b"fits"), ("large", &[7; 64 << 10])]);
        Answer::Reply(release.reply(&release.sign(&verifier)))
    })]);
    assert_nothing_happened(&container, &run(&mut container.launch(RUN)), 73, "secret file large: No space left on device");
}

#[test]
fn application_that_cannot_start_leaves_no_files() {
    let Some(container) = Container::new("application_that_cannot_start_leaves_no_files") else { return };
    container.program("work/app", "\x7fELF of another machine", 0o755);
    let _attester = container.delivers(&[], &[]);
    assert_nothing_happened(&container, &run(&mut container.launch(&["--", "./app"])), 126, "a program must be for this machine");
}
