//! Keys: made, published, refused, rotated.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Shop, program, selectors, tag};

/// The strings of a printed record, put together.
fn record(words: &str) -> String {
    let (_, rest) = words.split_once(" IN TXT (").unwrap();
    let (strings, _) = rest.split_once(" )").unwrap();
    let strings: Vec<_> = strings.split('"').skip(1).step_by(2).collect();
    assert!(strings.iter().all(|string| string.len() <= 255), "{strings:?}");
    strings.concat()
}

#[test]
fn a_new_key_is_private_and_its_record_is_what_openssl_derives_from_it() {
    let shop = Shop::new();
    let words = shop.key("Alpenlauf.example", "r1", "rsa");
    assert!(words.contains("r1._domainkey.alpenlauf.example. IN TXT ("), "{words}");
    let file = shop.path("config/dkim-alpenlauf.example-r1.pem");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let (code, public) = program("openssl", &["pkey", "-pubout", "-in", file.to_str().unwrap()], "");
    assert_eq!(code, 0, "{public}");
    let public: String = public.lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(record(&words), format!("v=DKIM1; k=rsa; p={public}"));

    let words = shop.key("alpenlauf.example", "e1", "ed25519");
    assert_eq!(tag(&record(&words), "p").len(), 44);
    let shown = shop.done(&["dkim", "show"]);
    assert_eq!(shown.matches("pem: signs mail from alpenlauf.example").count(), 2, "{shown}");
    assert!(shown.contains(&record(&words)), "{shown}");
}

#[test]
fn a_key_is_never_overwritten() {
    let shop = Shop::new();
    shop.key("alpenlauf.example", "r1", "ed25519");
    let file = shop.path("config/dkim-alpenlauf.example-r1.pem");
    let before = fs::read(&file).unwrap();
    let (code, words) = shop.colloquy(&["dkim", "new", "alpenlauf.example", "--selector", "r1"]);
    assert_eq!(code, 2);
    assert!(words.contains("exists") && words.contains("--selector NAME"), "{words}");
    assert_eq!(fs::read(&file).unwrap(), before);
    for bad in ["not a domain", "alpenlauf"] {
        assert_eq!(shop.colloquy(&["dkim", "new", bad]).0, 2, "{bad}");
    }
    assert_eq!(shop.colloquy(&["dkim", "new", "alpenlauf.example", "--selector", "../x"]).0, 2);
}

#[test]
fn check_refuses_a_bad_key_at_the_line_that_names_it_and_sending_does_too() {
    let shop = Shop::new();
    shop.configure("[[dkim]]\ndomain = \"alpenlauf.example\"\nselector = \"r1\"\nkey_file = \"config/k.pem\"");
    let config = fs::read_to_string(shop.path("config/colloquy.toml")).unwrap();
    let place = format!("config/colloquy.toml:{}:12", config.lines().count());
    let pem = |bits: &str| program("openssl", &["genrsa", "-traditional", bits], "").1;
    let encrypted = program("openssl", &["pkcs8", "-topk8", "-passout", "pass:x"], &pem("2048")).1;
    shop.done(&["import", "recipients.csv", "--topic", "news", "--source", "test"]);
    for (key, mode, words) in [
        (None, 0, "there is no such key file"),
        (Some(pem("1024")), 0o600, "does not have the 2048"),
        (Some(pem("2048")), 0o640, "mode 640"),
        (Some(encrypted), 0o600, "encrypted"),
        (Some("hush".to_owned()), 0o600, "not a private key in PEM"),
    ] {
        if let Some(key) = &key {
            shop.write("config/k.pem", key);
            fs::set_permissions(shop.path("config/k.pem"), PermissionsExt::from_mode(mode)).unwrap();
        }
        let (code, said) = shop.colloquy(&["check"]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(&place) && said.contains(words), "{words} at {place} in\n{said}");
        let (code, said) = shop.colloquy(&["send", "welcome"]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("config/k.pem") && said.contains(words), "{said}");
        let secret = key.iter().flat_map(|key| key.lines()).find(|line| line.len() > 30);
        assert!(secret.is_none_or(|line| !said.contains(line)), "the key is shown");
        assert!(!shop.path("outbox").exists(), "nothing goes out unsigned");
    }
    shop.write("config/k.pem", &pem("2048"));
    fs::set_permissions(shop.path("config/k.pem"), PermissionsExt::from_mode(0o600)).unwrap();
    assert!(shop.done(&["check"]).contains("0 errors, 0 warnings"));
    assert_eq!(shop.send().iter().map(|mail| selectors(mail)).collect::<Vec<_>>(), vec![["r1"]; 6]);
}

#[test]
fn of_each_algorithm_the_first_key_signs_so_that_keys_rotate_by_their_order() {
    let shop = Shop::new();
    shop.key("alpenlauf.example", "e1", "ed25519");
    shop.key("alpenlauf.example", "r1", "rsa");
    shop.key("alpenlauf.example", "r2", "rsa");
    shop.key("other.example", "o1", "rsa");
    assert_eq!(selectors(&shop.send()[0]), ["r1", "e1"]);
    let config = fs::read_to_string(shop.path("config/colloquy.toml")).unwrap();
    let (head, tail) = config.split_once("\n[[dkim]]").unwrap();
    let blocks: Vec<_> = tail.split("\n[[dkim]]").collect();
    let reversed: String = blocks.iter().rev().map(|block| format!("\n[[dkim]]{block}")).collect();
    shop.write("config/colloquy.toml", &format!("{head}{reversed}"));
    assert_eq!(selectors(&shop.send()[0]), ["r2", "e1"]);
}

#[test]
fn a_key_of_a_parent_domain_signs_and_one_of_another_does_not_which_check_says() {
    let shop = Shop::new();
    shop.key("alpenlauf.example", "r1", "rsa");
    shop.edit("config/colloquy.toml", "news@alpenlauf.example>", "news@mail.alpenlauf.example>");
    assert!(shop.done(&["check"]).contains("0 errors, 0 warnings"));
    assert_eq!(selectors(&shop.send()[0]), ["r1"]);
    shop.edit("config/colloquy.toml", "news@mail.alpenlauf.example>", "news@bergwelt.example>");
    let config = fs::read_to_string(shop.path("config/colloquy.toml")).unwrap();
    let line = config.lines().position(|line| line.starts_with("from = ")).unwrap() + 1;
    let place = format!("config/colloquy.toml:{line}:8");
    let said = shop.done(&["check"]);
    assert!(said.contains("warning: no key of [[dkim]] signs mail from bergwelt.example"), "{said}");
    assert!(said.contains(&place) && said.contains("colloquy dkim new bergwelt.example"), "{said}");
    assert_eq!(selectors(&shop.send()[0]), [""; 0]);
    assert!(shop.done(&["dkim", "show"]).contains("does not sign mail from bergwelt.example"));
}
