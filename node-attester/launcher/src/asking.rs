//! Asks until there is an answer: attester or verifier may be away for a while, a refusal is final.

use std::time::{Duration, Instant};

use podseal_protocol::{Limits, delivery::Session, frame::WorkloadReply};

use crate::{
    arguments::{Image, Options},
    connection::{Attempt, attempt},
    failure::Failure,
    random,
    report::say,
    signals::StopSignals,
};

const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What was delivered; nothing in it is verified yet.
pub(crate) struct Answer {
    pub(crate) leaf: Vec<u8>,
    pub(crate) delivery: Vec<u8>,
    pub(crate) image: Image,
}

/// Asks. Says on stderr what it waits for, once per change, and when that is over.
pub(crate) fn ask(options: &Options, session: &Session, signals: &StopSignals, deadline: Instant) -> Result<Answer, Failure> {
    let mut waiting_for = String::new();
    let mut pause = SHORTEST_PAUSE;
    loop {
        let state = match attempt(&options.socket, &options.token, session, signals, deadline, &Limits::DEFAULT)? {
            Attempt::Answered(WorkloadReply::Delivered { leaf, delivery, entrypoint, cmd }) => {
                if !waiting_for.is_empty() {
                    say(&"answered, starting");
                }
                return Ok(Answer { leaf, delivery, image: Image { entrypoint, cmd } });
            }
            Attempt::Answered(WorkloadReply::Refused { reason, audit_id, advice, retry: false }) => {
                return Err(Failure::Refused { reason, audit_id, advice });
            }
            Attempt::Answered(WorkloadReply::Refused { reason, advice, retry: true, .. }) => format!("{reason}: {advice}"),
            Attempt::Away(away) => away.to_string(),
        };
        let now = Instant::now();
        if now >= deadline {
            return Err(Failure::Unavailable { wait: options.wait, last: state });
        }
        if state != waiting_for {
            say(&format_args!("waiting up to {} s: {state}", options.wait.as_secs()));
            waiting_for = state;
        }
        signals.pause(deadline.min(now + jittered(pause)?))?;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Between half of `pause` and all of it, so that a node's containers don't come back all at once.
fn jittered(pause: Duration) -> Result<Duration, Failure> {
    let mut bytes = [0; 2];
    random::fill(&mut bytes)?;
    Ok(pause / 2 + pause / 2 * u32::from(u16::from_ne_bytes(bytes)) / u32::from(u16::MAX))
}
