//! What the holder is asked while it holds: a line in, a line of JSON out, one at a time.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use podseal_swtpm_tests::error::BenchError;
use podseal_swtpm_tests::site::{Ended, Node, Site, Workload};
use serde_json::{Value, json};

/// The word that ends it.
const END: &str = "end";

/// Does errands until it is told to end. `pod NODE`: another pod of the workload on that node, which ends with the answer.
pub(crate) fn run(listener: &UnixListener, site: &Site, nodes: [&Node; 2], workload: &Workload) {
    for stream in listener.incoming().filter_map(Result::ok) {
        let mut line = String::new();
        let _whoever_asked_is_gone = BufReader::new(&stream).read_line(&mut line);
        let answer = match line.split_ascii_whitespace().collect::<Vec<_>>().as_slice() {
            [END] => return,
            ["pod", name] => match nodes.iter().find(|node| node.name() == *name) {
                Some(node) => pod(site, node, workload).unwrap_or_else(|error| json!({ "error": error.to_string() })),
                None => json!({ "error": format!("no node {name}: there are {} and {}", nodes[0].name(), nodes[1].name()) }),
            },
            _ => json!({ "error": "an errand is: pod NODE" }),
        };
        let _whoever_asked_is_gone = writeln!(&stream, "{answer}");
    }
}

fn pod(site: &Site, node: &Node, workload: &Workload) -> Result<Value, BenchError> {
    let run = workload.clone().named("errand").run(site, node)?;
    Ok(match run.outcome()? {
        Ended::Started(portrait) => json!({ "started": portrait }),
        Ended::Refused(refused) => {
            json!({ "refused": { "code": refused.code, "reason": refused.reason, "audit_id": refused.audit_id, "stderr": refused.stderr } })
        }
    })
}

/// Ends [`run`].
pub(crate) fn end(socket: &Path) {
    let _ended_already = ask(socket, END);
}

/// Asks the holder.
pub(crate) fn ask(socket: &Path, errand: &str) -> Result<String, BenchError> {
    let io = || BenchError::io(format!("ask the holder at {}", socket.display()));
    let mut stream = UnixStream::connect(socket).map_err(io())?;
    writeln!(stream, "{errand}").map_err(io())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(io())?;
    Ok(answer)
}
