//! The holder: starts everything, describes it in `playground.json`, and ends it on SIGTERM. Nothing outlives its values.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use podseal_swtpm_tests::error::BenchError;
use podseal_swtpm_tests::sandbox::{Scratch, random_password};
use podseal_swtpm_tests::site::{NodeOptions, Site, Workload};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::{errands, portrait};

/// Holds the playground until it is told to end.
pub(crate) fn hold(file: &Path) -> Result<(), BenchError> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(BenchError::io("wait for signals"))?;
    let scratch = Scratch::new()?;
    let site = Site::start(&scratch.path().join("p"))?;
    let (node, second) = (site.node()?, site.start_node(NodeOptions::new(&site, "node-b"))?);
    site.put_secret("payments/db", random_password()?.as_bytes())?;
    let workload = Workload::new(&site, "payments");
    let permit = workload.permit(&site, node)?.without("principal.pod").without("principal.env");
    let names = format!("[\"{}\", \"{}\"].contains(context.node)", node.name(), second.name());
    site.allow(&permit.when("context.node", &names))?;
    let pod = workload.run(&site, node)?;
    pod.started()?;

    let client = scratch.path().join("client.toml");
    fs::write(&client, portrait::client(&site)).map_err(BenchError::io("write client.toml"))?;
    let socket = scratch.path().join("holder.sock");
    let listener = UnixListener::bind(&socket).map_err(BenchError::io("listen for errands"))?;
    let described = portrait::describe(&site, [node, &second], &pod, &client, &socket)?;
    // Renamed into place: whoever waits for the file finds all of it.
    let beside = file.with_extension("json.part");
    fs::write(&beside, described.to_string() + "\n").map_err(BenchError::io("write playground.json"))?;
    fs::rename(&beside, file).map_err(BenchError::io("write playground.json"))?;

    std::thread::scope(|scope| {
        scope.spawn(|| errands::run(&listener, &site, [node, &second], &workload));
        signals.forever().next();
        errands::end(&socket);
    });
    let _it_may_be_gone = fs::remove_file(file);
    Ok(())
}
