//! The launcher's command line, as `podseal-launch --help` describes it: made in one function, and read in one.

use podseal_protocol::Digest;

/// Where the launcher lies in a container.
pub(super) const PROGRAM: &str = "/podseal/launch";
const VERIFIER: &str = "--verifier";
const IMAGE_ENTRYPOINT: &str = "--image-entrypoint";
const END: &str = "--";

/// The command of a container whose own is `own` (empty: the image's Entrypoint) and that has `args`. These stay where they are:
/// Kubernetes runs command and args as one line, so they stand behind `--`.
///
/// Where neither is given, nothing stands behind `--`, and the launcher takes the image's Entrypoint and Cmd; where only args are, it
/// takes the Entrypoint, and the args as its arguments, as Kubernetes would.
pub(super) fn command(verifier: &Digest, own: &[String], args: &[String]) -> Vec<String> {
    let entrypoint = (own.is_empty() && !args.is_empty()).then(|| IMAGE_ENTRYPOINT.to_owned());
    let options = [PROGRAM.to_owned(), VERIFIER.to_owned(), verifier.to_string()];
    options.into_iter().chain(entrypoint).chain([END.to_owned()]).chain(own.iter().cloned()).collect()
}

/// Whose command it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// The container's own.
    Own(&'a [String]),
    /// Of [`command`], around this.
    Ours(&'a [String]),
    /// The launcher's, with another verifier or other options.
    Foreign,
}

/// Reads what [`command`] makes.
pub(super) fn read<'a>(found: &'a [String], verifier: &Digest) -> Found<'a> {
    let [program, rest @ ..] = found else { return Found::Own(found) };
    if program != PROGRAM {
        return Found::Own(found);
    }
    let identity = verifier.to_string();
    match rest {
        [option, value, end, own @ ..] if option == VERIFIER && *value == identity && end == END => Found::Ours(own),
        [option, value, entrypoint, end] if option == VERIFIER && *value == identity && entrypoint == IMAGE_ENTRYPOINT && end == END => {
            Found::Ours(&[])
        }
        _ => Found::Foreign,
    }
}
