//! The `file:` relay.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[tokio::test]
async fn a_message_becomes_one_file_however_often_it_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = dir.path().join("out/box");
    let relay = Relay::new(config(RelayUrl::File(outbox.clone())), None, options()).unwrap();
    let mut session = relay.open().await.unwrap();
    for _ in 0..2 {
        let outcome = send(&mut session, "anna@example.org", &message(TEXT)).await;
        assert_eq!(summary(&outcome), "accepted");
        assert!(session.is_usable());
    }
    let mode = std::fs::metadata(&outbox).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "its owner's alone");
    let files: Vec<_> = std::fs::read_dir(&outbox).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["1-2.eml"]);
    assert_eq!(std::fs::read(outbox.join("1-2.eml")).unwrap(), TEXT.as_bytes());
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_to_is_reported_and_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = dir.path().join("outbox");
    let relay = Relay::new(config(RelayUrl::File(outbox.clone())), None, options()).unwrap();
    let mut session = relay.open().await.unwrap();
    std::fs::remove_dir(&outbox).unwrap();
    let outcome = send(&mut session, "anna@example.org", &message(TEXT)).await;
    assert_eq!(summary(&outcome), "not_sent@file");

    std::fs::write(&outbox, "in the way").unwrap();
    let error = relay.open().await.err().unwrap();
    assert_eq!(error.permanence, colloquy::relay::Permanence::Permanent);
}
