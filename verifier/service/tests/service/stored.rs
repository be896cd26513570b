//! What lies on disk, and what happens to whoever moves it about.

use std::{fs, path::Path, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use podseal_protocol::{Digest, cbor::Encoder};
use podseal_verifier::{
    archive::{Archive, ArchiveError},
    kek,
    keyring::Keyring,
    store::{
        Missing, Store,
        challenges::{self, Spend},
        secrets::{self, ValueError},
    },
};

use crate::verifier::{Installation, put};

async fn open(installation: &Installation) -> (Store, Arc<Keyring>) {
    let store = Store::open(&installation.path("data/podseal.db"), Missing::Refuse).await.unwrap();
    let keys = Keyring::load(&store, kek::load(&installation.path("kek")).unwrap()).await.unwrap();
    (store, Arc::new(keys))
}

async fn value(store: &Store, keys: &Keyring, name: &str) -> Result<Vec<u8>, ValueError> {
    let record = secrets::get(store.readers(), name).await.unwrap().unwrap().record;
    secrets::value(store.readers(), keys.kek(), keys.store_id(), &record).await.map(|value| value.to_vec())
}

async fn execute(store: &Store, sql: &'static str) {
    let mut transaction = store.write().await.unwrap();
    sqlx::query(sql).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn with_two_secrets() -> Installation {
    let verifier = Installation::new("").start();
    let mut admin = verifier.admin().await;
    put(&mut admin, "a/one", b"value one").await.unwrap();
    put(&mut admin, "a/two", b"value two").await.unwrap();
    verifier.stop().await.0
}

#[tokio::test]
async fn ciphertext_rows_swapped() {
    let installation = with_two_secrets().await;
    let (store, keys) = open(&installation).await;
    assert_eq!(value(&store, &keys, "a/one").await.unwrap(), b"value one");
    assert_eq!(value(&store, &keys, "a/two").await.unwrap(), b"value two");

    // Whole rows change places: value, data key and its id.
    let swap = "UPDATE secret_versions SET \
        data_key_id = (SELECT x.data_key_id FROM was AS x WHERE x.name <> secret_versions.name), \
        data_key = (SELECT x.data_key FROM was AS x WHERE x.name <> secret_versions.name), \
        ciphertext = (SELECT x.ciphertext FROM was AS x WHERE x.name <> secret_versions.name)";
    execute(&store, "CREATE TABLE was AS SELECT * FROM secret_versions").await;
    execute(&store, "UPDATE secret_versions SET data_key_id = CAST(name AS BLOB)").await;
    execute(&store, swap).await;
    for name in ["a/one", "a/two"] {
        assert!(matches!(value(&store, &keys, name).await, Err(ValueError::DoesNotOpen { .. })), "{name}");
    }
    let back = "UPDATE secret_versions SET \
        data_key_id = (SELECT x.data_key_id FROM was AS x WHERE x.name = secret_versions.name), \
        data_key = (SELECT x.data_key FROM was AS x WHERE x.name = secret_versions.name), \
        ciphertext = (SELECT x.ciphertext FROM was AS x WHERE x.name = secret_versions.name)";
    execute(&store, "UPDATE secret_versions SET data_key_id = CAST(name AS BLOB)").await;
    execute(&store, back).await;
    assert_eq!(value(&store, &keys, "a/one").await.unwrap(), b"value one");

    // One column alone, and the metadata that its owner gave.
    execute(&store, "UPDATE secret_versions SET ciphertext = (SELECT ciphertext FROM was WHERE name = 'a/two') WHERE name = 'a/one'").await;
    assert!(matches!(value(&store, &keys, "a/one").await, Err(ValueError::DoesNotOpen { .. })));
    execute(&store, "UPDATE secrets SET accepts = 'host-trusted test-root ' WHERE name = 'a/two'").await;
    assert!(matches!(value(&store, &keys, "a/two").await, Err(ValueError::DoesNotOpen { .. })), "nobody widens what an owner accepts");
}

#[tokio::test]
async fn key_rows_swapped() {
    let installation = Installation::new("");
    let (store, _) = open(&installation).await;
    execute(&store, "UPDATE keys SET wrapped = (SELECT wrapped FROM keys WHERE purpose = 'archive') WHERE purpose = 'mac'").await;
    store.close().await;
    let output = installation.check_config();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("key mac, epoch 1: the ciphertext does not open in its row"));
}

fn files(directory: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(fs::read(path).unwrap());
        }
    }
    found
}

fn holds(files: &[Vec<u8>], secret: &[u8]) -> bool {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let forms = [secret.to_vec(), hex.into_bytes(), STANDARD.encode(secret).into_bytes()];
    files.iter().any(|file| forms.iter().any(|form| file.windows(form.len()).any(|window| window == form)))
}

#[tokio::test]
async fn no_value_and_no_key_lies_in_the_data_directory() {
    let canary = podseal_verifier::random::bytes::<24>().unwrap();
    let verifier = Installation::new("").start();
    put(&mut verifier.admin().await, "a/canary", &canary).await.unwrap();
    let directory = verifier.installation.path("data");
    // While it runs: the write-ahead log is there too.
    let running = files(&directory);
    assert!(running.len() >= 5, "{} files", running.len());
    assert!(!holds(&running, &canary));
    let (installation, _, log) = verifier.stop().await;
    assert!(!holds(&[log.into_bytes()], &canary));
    let stopped = files(&directory);
    assert!(!holds(&stopped, &canary));

    // The keys themselves, as the KEK opens them.
    let (store, keys) = open(&installation).await;
    assert_eq!(value(&store, &keys, "a/canary").await.unwrap(), canary);
    let kek_text = fs::read_to_string(installation.path("kek")).unwrap();
    let kek = Digest::from_hex(kek_text.trim_end()).unwrap();
    assert!(!holds(&stopped, &kek.0));
    let rows = podseal_verifier::store::keys::list(store.readers()).await.unwrap();
    assert_eq!(rows.len(), 6);
    for row in rows {
        let aad = Encoder::message("podseal.wrapped-key.v1", 7).bytes(keys.store_id()).text("keys").text(&row.purpose).uint(row.epoch);
        let aad = aad.bytes(&row.public).bytes(&row.certified).finish();
        let private = keys.kek().unwrap(&aad, row.wrapped).unwrap();
        assert!(!holds(&stopped, &private), "{}", row.purpose);
    }
    // The search finds what is there.
    fs::write(installation.path("data/planted"), STANDARD.encode(canary)).unwrap();
    assert!(holds(&files(&installation.path("data")), &canary));
}

#[tokio::test]
async fn the_archive_gives_back_only_what_the_digest_names() {
    let installation = Installation::new("");
    let (_, keys) = open(&installation).await;
    let directory = installation.path("data/archive");
    let archive = Archive::open(directory.clone(), Arc::clone(&keys)).unwrap();
    let digests = archive.put(vec![b"one".to_vec(), b"two".to_vec(), b"one".to_vec()]).await.unwrap();
    assert_eq!(digests, [Digest::of(b"one"), Digest::of(b"two"), Digest::of(b"one")]);
    assert_eq!(archive.get(digests[0]).await.unwrap(), b"one");
    assert!(!holds(&files(&directory), b"one"));

    let path = |digest: &Digest| directory.join(&digest.to_string()[..2]).join(digest.to_string());
    fs::copy(path(&digests[1]), path(&digests[0])).unwrap();
    assert!(matches!(archive.get(digests[0]).await, Err(ArchiveError::Altered(_))));
    fs::remove_file(path(&digests[1])).unwrap();
    assert!(matches!(archive.get(digests[1]).await, Err(ArchiveError::Missing(_))));

    // What is not whole any more is written again as soon as an entry is to name it, by this process and by the next.
    fs::write(path(&digests[0]), b"").unwrap();
    archive.put(vec![b"one".to_vec()]).await.unwrap();
    assert_eq!(archive.get(digests[0]).await.unwrap(), b"one");
    let length = fs::metadata(path(&digests[0])).unwrap().len();
    fs::write(path(&digests[0]), vec![0; usize::try_from(length).unwrap()]).unwrap();
    Archive::open(directory.clone(), Arc::clone(&keys)).unwrap().put(vec![b"one".to_vec()]).await.unwrap();
    assert_eq!(archive.get(digests[0]).await.unwrap(), b"one");
}

#[tokio::test]
async fn a_value_that_was_removed_is_in_no_file() {
    let verifier = Installation::new("").start();
    let mut admin = verifier.admin().await;
    for (name, leaves) in [("a/replaced", "put"), ("a/deleted", "delete")] {
        put(&mut admin, name, b"to be forgotten").await.unwrap();
        let (store, _) = open(&verifier.installation).await;
        let row =
            sqlx::query("SELECT ciphertext FROM secret_versions WHERE name = ?1").bind(name).fetch_one(store.readers()).await.unwrap();
        let ciphertext: Vec<u8> = sqlx::Row::get(&row, 0);
        store.close().await;
        let directory = verifier.installation.path("data");
        assert!(holds(&files(&directory), &ciphertext), "{name}: the search finds what is there");
        if leaves == "put" {
            put(&mut admin, name, b"the next one").await.unwrap();
        } else {
            admin.delete_secret(podseal_wire::Name { name: name.to_owned() }).await.unwrap();
        }
        assert!(!holds(&files(&directory), &ciphertext), "{name}: after {leaves}");
    }
}

#[tokio::test]
async fn a_challenge_is_spent_once_and_pruning_opens_nothing() {
    let installation = Installation::new("");
    let (store, _) = open(&installation).await;
    let challenge = |number: u8, expires| Spend { digest: Digest::of(&[number]), expires };
    let mut transaction = store.write().await.unwrap();
    assert!(challenges::spend(&mut transaction, &challenge(1, 1_000)).await.unwrap());
    assert!(!challenges::spend(&mut transaction, &challenge(1, 1_000)).await.unwrap());
    challenges::prune(&mut transaction, 1_100).await.unwrap();
    assert!(!challenges::spend(&mut transaction, &challenge(1, 1_000)).await.unwrap(), "it is still remembered");
    challenges::prune(&mut transaction, 5_000).await.unwrap();
    // The row is gone. A clock that was set back would find the challenge alive again; the floor does not.
    assert!(!challenges::spend(&mut transaction, &challenge(1, 1_000)).await.unwrap());
    challenges::prune(&mut transaction, 100).await.unwrap();
    assert!(!challenges::spend(&mut transaction, &challenge(1, 1_000)).await.unwrap(), "the floor never sinks");
    assert!(challenges::spend(&mut transaction, &challenge(2, 5_060)).await.unwrap());
}
