//! The part of the project's file that counts as it stands on the disk.

use super::*;

const MACHINE: &str = r#"[database]
url = "postgres://db.example/colloquy"
direct_url = "postgres://a.example:5433,b.example/colloquy"
[secrets]
file = "/etc/colloquy/secrets.toml"
[console]
listen = "127.0.0.1:9091"
[inbox]
listen = "127.0.0.1:2424"
[[inbox.mailbox]]
name = "bounces"
url = "maildir:/var/mail/bounces"
"#;

fn project(lines: &str) -> ProjectFiles {
    let web = "trusted_proxies = [\"10.0.0.0/8\"]\nper_network = \"50/s\"\nlisten = \"127.0.0.1:9090\"\n";
    files(&format!("{}{lines}", PROJECT.replace("[web]\n", &format!("[web]\n{web}"))), "topic = \"no")
}

fn faults(project: &str, reach: Reach) -> Vec<String> {
    machine(&files(project, CAMPAIGN), reach)
        .map_or_else(|Problems(found)| found.iter().map(shown).collect(), |_| vec![])
}

#[test]
fn a_machine_is_read_while_everything_else_has_mistakes() {
    for mistake in [
        "[segments]\nwarm = 'scor >= 20'\n",
        "[score]\nhalf_live = \"3d\"\n",
        "[limits]\nfrequency_cap = \"2 p\n",
        "[attributes.x\n",
        "[topics.offers]\n",
    ] {
        let files = project(&format!("{MACHINE}{mistake}"));
        assert!(load(&files).is_err(), "{mistake}");
        let Machine { database_url, database_direct_url, secrets_file, web, console_listen, inbox } =
            machine(&files, Reach::Services).unwrap();
        assert_eq!(database_url, "postgres://db.example/colloquy", "{mistake}");
        assert_eq!(database_direct_url.as_deref(), Some("postgres://a.example:5433,b.example/colloquy"));
        assert_eq!(secrets_file.to_str(), Some("/etc/colloquy/secrets.toml"));
        assert_eq!((web.listen.port(), console_listen.port()), (9090, 9091));
        assert_eq!((inbox.listen.unwrap().port(), inbox.mailboxes.len()), (2424, 1));
        assert!(web.trusted_proxies[0].contains("10.1.2.3".parse().unwrap()));
        assert_eq!((web.per_network.get(), web.burst.get()), (50, 250));
    }
}

#[test]
fn only_services_care_where_they_listen() {
    let project = format!("{MACHINE}[web]\nlisten = \"8080\"\n").replace("127.0.0.1:9091", "9091");
    assert_eq!(faults(&project, Reach::Database), [""; 0]);
    assert_eq!(faults(&project, Reach::Services).len(), 2);
}

#[test]
fn another_database_is_never_taken_by_mistake() {
    assert_eq!(faults("[segments]\nwarm = 'x\n", Reach::Database).len(), 1, "what follows might be [database]");
    assert_eq!(
        faults("[databse]\nurl = \"postgres://db.example/c\"\n", Reach::Database),
        ["colloquy.toml:1:2 databse: unknown key `databse` (did you mean `database`?)"]
    );
    assert_eq!(
        faults("[database]\nulr = \"postgres://db.example/c\"\n", Reach::Database),
        ["colloquy.toml:2:1 ulr: unknown key `ulr` in [database] (did you mean `url`?)"]
    );
    assert_eq!(faults("[sender]\nfrom = \"a@b.example\"\n", Reach::Database), [""; 0], "the default is meant");
}

#[test]
fn no_complaint_shows_a_password() {
    for lines in [
        "[database]\nurl = \"postgress://bob:s3cr3tpw@db1/x\"",
        "[database]\nurl = \"Postgres://bob:s3cr3tpw@db1/x\"",
        "[database]\nurl = \"mysql://bob:s3cr3tpw@h/x\"",
        "[database]\nurl = \"postgres://bob:s3cr3tpw@h/x",
        "[database]\nurl = \"bob:s3cr3tpw@h/x\"",
        "[database]\nurl = \"postgres://bob@h/x?password=s3cr3tpw\"",
        "[database]\nurll = \"postgres://bob:s3cr3tpw@h/x\"",
        "[database]\ndirect_url = \"pg://bob:s3cr3tpw@h/x\"",
        "[database]\npassword = \"s3cr3tpw\"",
        "[[relay]]\nname = \"b\"\nurl = \"smtp://joe:s3cr3tpw@h\"",
        "[[relay]]\nname = \"b\"\nurl = \"smpt://joe:s3cr3tpw@h\"",
        "[[relay]]\nname = \"b\"\nurl = \"joe:s3cr3tpw@h\"",
        "[[inbox.mailbox]]\nname = \"b\"\nurl = \"imaps://joe:s3cr3tpw/x@h\"",
    ] {
        let files = files(&format!("{PROJECT}{lines}\n"), CAMPAIGN);
        let told = load(&files).unwrap_err().to_string();
        assert!(!told.contains("s3cr3tpw"), "{told}");
        if let Err(problems) = machine(&files, Reach::Services) {
            assert!(!problems.to_string().contains("s3cr3tpw"), "{problems}");
        }
    }
}

#[test]
fn a_hidden_password_leaves_the_underline_below_its_text() {
    let files = files("[database]\nurl = \"mysql://bob:s3cr3tpw@h/x\" # old\n", CAMPAIGN);
    assert_eq!(
        machine(&files, Reach::Database).unwrap_err().to_string(),
        r#"error: this is not a database's URL
 --> config/colloquy.toml:2:7
  |
2 | url = "mysql://bob:********@h/x" # old
  |       ^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: sqlite:colloquy.db, or postgres://user@host/database"#
    );
}
