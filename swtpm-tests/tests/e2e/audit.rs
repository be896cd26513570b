//! The record on the running site: decided anew from the archive alone, and whoever alters archive, log or policy on the disk is found.

use std::fs;
use std::path::PathBuf;

use podseal_swtpm_tests::site::{Counterfeit, Site, Workload};
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::fixtures::Fixtures;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("recheck_reads_only_the_archive", recheck_reads_only_the_archive),
    ("recheck_finds_altered_result", recheck_finds_altered_result),
    ("log_entry_row_altered", log_entry_row_altered),
    ("policy_row_altered", policy_row_altered),
];

type Failure = Box<dyn std::error::Error>;

/// A site of one's own with one release; its audit id.
fn released(site: &Site, name: &str) -> Result<(Counterfeit, String), Failure> {
    let fake = Counterfeit::enrol(site, name, name)?;
    let claim = fake.claim()?;
    let taken = claim.open(site.verifier().digest(), fake.ask_one(&claim)?.delivered(site)?)?;
    Ok((fake, taken.receipt.context.audit_id))
}

/// Exit code and result of `podseal audit recheck`.
fn recheck(site: &Site, which: &str) -> Result<(Option<i32>, Value), Failure> {
    let ran = site.admin().run(&["audit", "recheck", which], b"")?;
    let view = serde_json::from_str(&ran.stdout).map_err(|_| format!("{ran:?}"))?;
    Ok((ran.code, view))
}

/// Where the archive keeps the object of one role of an entry.
fn archived(site: &Site, audit_id: &str, role: &str) -> Result<(String, PathBuf), Failure> {
    let list = site.admin().podseal(&["log", "list", "--from", "0", "--count", "100000"])?;
    let entry = list["entries"].as_array().into_iter().flatten().find(|entry| entry["audit_id"] == audit_id);
    let digest = entry.and_then(|entry| entry["objects"][role].as_str()).ok_or("no such entry or role")?;
    let file = site.verifier().archive().join(&digest[..2]).join(digest);
    assert!(file.is_file(), "{}", file.display());
    Ok((digest.to_owned(), file))
}

/// A connection of somebody who can write to the database's file.
fn with_database<T>(site: &Site, job: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = SqliteConnectOptions::new().filename(site.verifier().database()).connect().await?;
        let done = job(&mut connection).await?;
        connection.close().await?;
        Ok(done)
    })
}

fn recheck_reads_only_the_archive(fixtures: &Fixtures) -> Outcome {
    let mut site = fixtures.own_site("recheck")?;
    let (fake, audit_id) = released(&site, "recheck")?;
    // Whatever the decision rested on is another now, or gone.
    site.apply_policy("@id(\"nobody\") forbid (principal, action == Action::\"release\", resource);\n")?;
    site.admin().podseal(&["secret", "delete", "recheck/db"])?;
    let mut boot = site.boot().clone();
    boot.command_line.push_str(" other");
    site.trust("bench-server", &boot)?;
    assert_ne!(fake.ask_one(&fake.claim()?)?.refused(&site)?.obstacles(), Vec::<&str>::new());
    with_database(&site, async |database| {
        sqlx::query("DELETE FROM nodes").execute(&mut *database).await?;
        sqlx::query("DELETE FROM clusters").execute(&mut *database).await
    })?;
    site.verifier_mut().restart()?;

    let (code, view) = recheck(&site, &audit_id)?;
    assert_eq!((code, &view["entries"][0]["result"], &view["entries"][0]["kind"]), (Some(0), &"same".into(), &"released".into()), "{view}");
    let (code, view) = recheck(&site, "--all")?;
    assert_eq!((code, &view["holds"]), (Some(0), &true.into()), "{view}");

    // And from the archive it does read.
    let (digest, file) = archived(&site, &audit_id, "policy")?;
    let kept = fs::read(&file)?;
    fs::remove_file(&file)?;
    names_the_object(&site, &audit_id, &digest)?;
    fs::write(&file, kept)?;
    assert_eq!(recheck(&site, "--all")?.0, Some(0));
    Ok(())
}

fn recheck_finds_altered_result(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.own_site("altered")?;
    let (fake, audit_id) = released(&site, "altered")?;
    let refused = fake.ask_one(&fake.claim()?.with_leaf(|leaf| leaf.service_account = "default".into()))?.refused(&site)?;
    assert_eq!(recheck(&site, "--all")?.0, Some(0));

    // The result of the refusal in the place of the release's, and one bit.
    let (digest, file) = archived(&site, &audit_id, "explanation")?;
    let (_, other) = archived(&site, &refused.0.audit_id, "explanation")?;
    let honest = fs::read(&file)?;
    let mut bit = honest.clone();
    bit[honest.len() / 2] ^= 1;
    for altered in [fs::read(other)?, bit] {
        fs::write(&file, altered)?;
        names_the_object(&site, &audit_id, &digest)?;
        fs::write(&file, &honest)?;
        assert_eq!(recheck(&site, "--all")?.0, Some(0));
    }
    Ok(())
}

/// Of all entries just this one is not decided anew, and the object is named; asked for alone, it is named too.
fn names_the_object(site: &Site, audit_id: &str, digest: &str) -> Result<(), Failure> {
    let (code, view) = recheck(site, "--all")?;
    assert_eq!((code, &view["holds"]), (Some(1), &false.into()), "{view}");
    let entries = view["entries"].as_array().ok_or("no entries")?;
    let entry = entries.iter().find(|entry| entry["audit_id"] == audit_id).ok_or("the entry is missing")?;
    assert_eq!(entry["result"], "not-rechecked", "{entry}");
    let found = entry["checks"].as_array().into_iter().flatten().find(|check| check["name"] == "recheck.objects");
    assert!(
        found.is_some_and(|check| check["found"].as_str().is_some_and(|found| found.contains(digest))),
        "{digest} is not named: {entry}"
    );
    let alone = site.admin().run(&["audit", "recheck", audit_id], b"")?;
    assert!(alone.code != Some(0) && format!("{}{}", alone.stdout, alone.stderr).contains(digest), "{alone:?}");
    Ok(())
}

fn log_entry_row_altered(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.own_site("row")?;
    let (fake, audit_id) = released(&site, "row")?;
    let verify = || site.admin().run(&["log", "verify"], b"");
    assert_eq!(verify()?.code, Some(0));
    let position = site.explain(&audit_id)?.0.entry_index.ok_or("not in the log")?;
    let position = i64::try_from(position)?;
    let entry: Vec<u8> = with_database(&site, async |database| {
        sqlx::query_scalar("SELECT entry FROM log_entries WHERE position = ?1").bind(position).fetch_one(database).await
    })?;
    let at = entry.windows(audit_id.len()).position(|part| part == audit_id.as_bytes()).ok_or("no audit id")? + audit_id.len();
    let mut altered = entry.clone();
    // The entry stays well-formed; its time, a 32-bit integer after the audit id, is another second.
    assert_eq!(altered[at], 0x1a, "the time's head");
    altered[at + 4] ^= 1;
    let write = |entry: Vec<u8>| {
        with_database(&site, async |database| {
            sqlx::query("UPDATE log_entries SET entry = ?1 WHERE position = ?2").bind(entry).bind(position).execute(database).await
        })
    };
    write(altered)?;
    let failed = verify()?;
    let view: Value = serde_json::from_str(&failed.stdout)?;
    let obstacles: Vec<&Value> = view["checks"].as_array().into_iter().flatten().filter(|check| check["verdict"] != "pass").collect();
    assert_eq!((failed.code, obstacles.len(), &obstacles[0]["name"]), (Some(1), 1, &"log.root".into()), "{view}");
    assert_eq!(site.admin().run(&["audit", "recheck", "--all"], b"")?.code, Some(1), "the log is verified first");

    write(entry)?;
    assert_eq!(verify()?.code, Some(0));
    fake.ask_one(&fake.claim()?)?.delivered(&site)?;
    Ok(())
}

fn policy_row_altered(fixtures: &Fixtures) -> Outcome {
    let mut site = fixtures.own_site("policy-row")?;
    let (fake, _) = released(&site, "policy-row")?;
    // Another service account gets the secret: by the row, not by an administrator.
    let honest = Workload::new(&site, "policy-row").permit(&site, site.node()?)?.text();
    assert!(honest.contains("\"payment-api\""));
    let thief = || Ok::<_, Failure>(fake.claim()?.with_leaf(|leaf| leaf.service_account = "default".into()));
    assert!(!fake.ask_one(&thief()?)?.refused(&site)?.obstacles().is_empty());
    let replace = |site: &Site, from: &'static str, to: &'static str| {
        with_database(site, async |database| {
            let done = sqlx::query("UPDATE documents SET text = replace(text, ?1, ?2) WHERE kind = 'policy'").bind(from).bind(to);
            done.execute(database).await.map(|done| done.rows_affected())
        })
    };
    let (account, other) = ("principal.service_account == \"payment-api\"", "principal.service_account == \"default\"");
    assert_eq!(replace(&site, account, other)?, 1);
    site.verifier_mut().restart()?;
    for claim in [thief()?, fake.claim()?] {
        assert!(fake.ask_one(&claim).is_err(), "the verifier decided by a policy that nobody applied");
    }
    assert!(site.verifier().daemon().log().contains("it is not the text that its digest names"), "{}", site.verifier().daemon().log());

    assert_eq!(replace(&site, other, account)?, 1);
    fake.ask_one(&fake.claim()?)?.delivered(&site)?;
    Ok(())
}
