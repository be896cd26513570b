//! Strict arguments.

use std::process::{Command, Output, Stdio};

use crate::container::run;

const ID: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn launch(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podseal-launch"));
    run(command.args(words).stdout(Stdio::piped()).stderr(Stdio::piped()))
}

#[test]
fn help_lists_every_exit_code() {
    let output = launch(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    for code in ["64", "71", "73", "75", "76", "77", "126", "127", "130", "143"] {
        assert!(help.lines().any(|line| line.split_whitespace().any(|word| word == code)), "{code} in {help}");
    }
}

#[test]
fn version() {
    let output = launch(&["--version"]);
    assert_eq!(output.stdout, format!("podseal-launch {}\n", env!("CARGO_PKG_VERSION")).into_bytes());
}

#[test]
fn what_is_not_understood_is_refused() {
    for (words, why) in [
        (&[][..], "--verifier ID is required"),
        (&["--", "true"], "--verifier ID is required"),
        (&["--verifier"], "--verifier needs a value"),
        (&["--verifier", &ID[1..]], "wanted 64 hexadecimal digits"),
        (&["--verifier", &format!("sha256:{}", &ID[7..])], "wanted 64 hexadecimal digits"),
        (&["--verifier", &format!("g{}", &ID[1..])], "wanted 64 hexadecimal digits"),
        (&["--verifier", ID, "--verifier", ID], "--verifier came twice"),
        (&["--verifier", ID, "--image-entrypoint", "--image-entrypoint"], "--image-entrypoint came twice"),
        (&["--verifier", ID, "--wait", "0"], "wanted seconds, 1 to 86400"),
        (&["--verifier", ID, "--wait", "+5"], "wanted seconds, 1 to 86400"),
        (&["--verifier", ID, "--wait", "86401"], "wanted seconds, 1 to 86400"),
        (&["--verifier", ID, "--socket", ""], "--socket \"\": wanted a path"),
        (&["--verifier", ID, "--sockets", "x"], "\"--sockets\" is no option"),
        (&["--verifier", ID, "true"], "the command and its arguments stand after --"),
        (&[&format!("--verifier={ID}")], "is no option"),
        (&["--verifier", ID, "--", ""], "there is no command"),
    ] {
        let output = launch(words);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{words:?}: {said}");
        assert!(said.contains(why), "{words:?}: {said}");
        assert_eq!(output.stdout, b"");
    }
}
