//! On what was measured.

use std::fs;

/// Prints what a reader needs to know of the machine: figures of two machines don't compare.
pub(crate) fn describe() {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpus.lines().find_map(|line| line.strip_prefix("model name")).map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split_whitespace().take(2).collect();
    let profile = if cfg!(debug_assertions) { "debug: these are no figures to keep" } else { "release" };
    println!("machine  {model}, {cores} cores, Linux {}", kernel.trim());
    println!("load     {} over 1 and 5 minutes before", load.join(" and "));
    println!("profile  {profile}");
}
