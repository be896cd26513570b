//! Which program becomes the application: as a container runtime decides.

use std::process::Output;

use crate::container::{Container, assert_nothing_happened, run, stderr, stdout};

/// Launches `words` with a PATH, and with an image's own command.
fn launch(container: &Container, path: Option<&str>, words: &[&str], image: (&'static [&'static str], &'static [&'static str])) -> Output {
    let _attester = container.delivers(image.0, image.1);
    let mut command = container.launch(words);
    match path {
        Some(path) => command.env("PATH", path.replace('@', container.folder.path().to_str().unwrap())),
        None => command.env_remove("PATH"),
    };
    run(&mut command)
}

const NO_IMAGE: (&[&str], &[&str]) = (&[], &[]);

#[track_caller]
fn assert_runs(output: &Output, said: &str) {
    assert_eq!((stdout(output).as_str(), output.status.code()), (said, Some(0)), "{}", stderr(output));
}

#[test]
fn first_executable_in_path_wins() {
    let Some(container) = Container::new("first_executable_in_path_wins") else { return };
    container.program("a/app", "#!/bin/sh\necho a", 0o644);
    container.program("b/app/file", "", 0o644);
    container.program("c/app", "#!/bin/sh\necho \"c $*\"", 0o755);
    container.program("d/app", "#!/bin/sh\necho d", 0o755);
    assert_runs(&launch(&container, Some("@/none:@/a:@/b:@/c:@/d"), &["--", "app", "x", "y z"], NO_IMAGE), "c x y z\n");
}

#[test]
fn relative_folders_in_path_never_count() {
    let Some(container) = Container::new("relative_folders_in_path_never_count") else { return };
    container.program("work/app", "#!/bin/sh\necho here", 0o755);
    let output = launch(&container, Some(":.:../work"), &["--", "app"], NO_IMAGE);
    assert_nothing_happened(&container, &output, 127, "\"app\" not found in PATH (:.:../work)");
}

#[test]
fn without_path_the_usual_folders_are_searched() {
    let Some(container) = Container::new("without_path_the_usual_folders_are_searched") else { return };
    assert_runs(&launch(&container, None, &["--", "echo", "found"], NO_IMAGE), "found\n");
}

#[test]
fn slash_counts_from_the_working_directory() {
    let Some(container) = Container::new("slash_counts_from_the_working_directory") else { return };
    container.program("work/bin/app", "#!/bin/sh\necho \"$0\"", 0o755);
    assert_runs(&launch(&container, None, &["--", "./bin/app"], NO_IMAGE), "./bin/app\n");
}

#[test]
fn argv0_stays_as_given() {
    let Some(container) = Container::new("argv0_stays_as_given") else { return };
    assert_runs(&launch(&container, Some("/usr/bin:/bin"), &["--", "cat", "/proc/self/cmdline"], NO_IMAGE), "cat\0/proc/self/cmdline\0");
}

#[test]
fn command_not_found_asks_nobody() {
    let container = Container::bare();
    let attester = container.delivers(&[], &[]);
    for (words, why) in [(["--", "no-such-app"], "\"no-such-app\" not found in PATH"), (["--", "./no/such"], "./no/such not found")] {
        assert_nothing_happened(&container, &run(&mut container.launch(&words)), 127, why);
    }
    assert_eq!(attester.requests(), [], "a mistyped command must not cost a release");
}

#[test]
fn command_without_mode_x() {
    let container = Container::bare();
    container.program("work/app", "#!/bin/sh\necho ran", 0o644);
    assert_nothing_happened(&container, &run(&mut container.launch(&["--", "./app"])), 126, "./app cannot be executed: Permission denied");
    let mut by_path = container.launch(&["--", "app"]);
    assert_nothing_happened(&container, &run(by_path.env("PATH", container.work())), 126, "/app cannot be executed: Permission denied");
}

#[test]
fn folder_is_not_executed() {
    let container = Container::bare();
    assert_nothing_happened(&container, &run(&mut container.launch(&["--", "/usr"])), 126, "/usr cannot be executed: Is a directory");
}

#[test]
fn script_without_interpreter_line_is_not_given_to_a_shell() {
    let Some(container) = Container::new("script_without_interpreter_line_is_not_given_to_a_shell") else { return };
    container.program("work/app", "echo ran", 0o755);
    let output = launch(&container, None, &["--", "./app"], NO_IMAGE);
    assert_nothing_happened(&container, &output, 126, "a script must begin with #!");
}

#[test]
fn missing_interpreter() {
    let Some(container) = Container::new("missing_interpreter") else { return };
    container.program("work/app", "#!/no/such/interpreter\n", 0o755);
    let output = launch(&container, None, &["--", "./app"], NO_IMAGE);
    assert_nothing_happened(&container, &output, 126, "the interpreter or loader that it names is missing");
}

#[test]
fn image_entrypoint_and_cmd() {
    let Some(container) = Container::new("image_entrypoint_and_cmd") else { return };
    container.program("work/entry", "#!/bin/sh\necho \"entry $*\"", 0o755);
    assert_runs(&launch(&container, None, &[], (&["./entry", "a"], &["b", "c d"])), "entry a b c d\n");
}

#[test]
fn image_cmd_alone() {
    let Some(container) = Container::new("image_cmd_alone") else { return };
    assert_runs(&launch(&container, None, &["--"], (&[], &["echo", "cmd"])), "cmd\n");
}

#[test]
fn image_entrypoint_with_other_arguments() {
    let Some(container) = Container::new("image_entrypoint_with_other_arguments") else { return };
    assert_runs(&launch(&container, None, &["--image-entrypoint", "--", "mine"], (&["echo", "entry"], &["cmd"])), "entry mine\n");
}

#[test]
fn image_is_ignored_where_a_command_is_given() {
    let Some(container) = Container::new("image_is_ignored_where_a_command_is_given") else { return };
    assert_runs(&launch(&container, None, &["--", "echo", "mine"], (&["echo", "entry"], &["cmd"])), "mine\n");
}

#[test]
fn image_without_a_command() {
    let Some(container) = Container::new("image_without_a_command") else { return };
    assert_nothing_happened(&container, &launch(&container, None, &[], NO_IMAGE), 64, "give the image an Entrypoint or a Cmd");
}

#[test]
fn image_command_not_found_places_nothing() {
    let Some(container) = Container::new("image_command_not_found_places_nothing") else { return };
    assert_nothing_happened(&container, &launch(&container, None, &[], (&["gone"], &[])), 127, "\"gone\" not found in PATH");
}

#[test]
fn image_command_with_nul() {
    let Some(container) = Container::new("image_command_with_nul") else { return };
    assert_nothing_happened(
        &container,
        &launch(&container, None, &[], (&["echo", "a\0b"], &[])),
        126,
        "word 1 of the command holds a NUL byte",
    );
}
