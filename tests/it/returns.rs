//! What follows from mail that comes back: to people, to their lists, to runs.

mod hostile;
mod limits;
mod support;

use colloquy::args;
use colloquy::domain::address::Address;
use colloquy::store::suppressions;

use crate::support::on_both_engines;
use support::{Post, complaint, report};

on_both_engines! {
    async fn a_signed_report_of_an_unknown_user_suppresses_and_is_handled_once(db) {
        let mut post = Post::begin(db, 2).await;
        let mail = post.mail_to("a0@example.org");
        let report = report(&mail.return_path, "a0@example.org", "5.1.1", "550 5.1.1 User unknown");
        for _ in 0..2 {
            post.deliver(&mail.return_path, &report).await;
        }
        post.read_all().await;
        assert_eq!(post.effects().await, [("bounce", "dead")]);
        assert_eq!(post.suppressed().await, ["a0@example.org"]);
        assert_eq!(post.actions("bounce").await, [(1, Some("user-unknown".to_owned()))]);
        let listed = post.listed().await;
        assert_eq!((listed[0].run_id, listed[0].recipient_id), (Some(post.run.id.0), Some(1)));
        let told = listed[0].told.as_deref().unwrap();
        assert!(told.contains("550 5.1.1") && !told.contains('@'), "{told}");
    }

    async fn a_report_is_known_by_the_copy_that_it_brings_when_it_came_another_way(db) {
        let mut post = Post::begin(db, 1).await;
        let mail = post.mail_to("a0@example.org");
        let copied = format!("Return-Path: <{}>\nSubject: Hello", mail.return_path.to_uppercase());
        let report = report("postmaster@shop.example", "a0@example.org", "5.1.1", "550 5.1.1 User unknown")
            .replace("--x--", &format!("--x\nContent-Type: text/rfc822-headers\n\n{copied}\n--x--"));
        post.deliver("", &report).await;
        post.read_all().await;
        assert_eq!(post.effects().await, [("bounce", "dead")]);
    }

    async fn a_report_without_an_address_of_ours_suppresses_nobody(db) {
        let mut post = Post::begin(db, 1).await;
        for (address, to) in [("a0@example.org", "bounces@shop.example"), ("stranger@example.org", "b-aeavjaejplkwrqdeqp4i6n2hl5vwo@b.shop.example")] {
            post.deliver(to, &report(to, address, "5.1.1", "550 5.1.1 User unknown")).await;
        }
        post.read_all().await;
        assert_eq!(post.effects().await, [("bounce", "unsigned"), ("bounce", "nobody")]);
        assert_eq!((post.suppressed().await, post.actions("bounce").await), (vec![], vec![]));
    }

    async fn a_report_about_whom_it_was_passed_on_to_does_not_kill_the_address(db) {
        let mut post = Post::begin(db, 1).await;
        let to = post.mail_to("a0@example.org").return_path;
        post.deliver(&to, &report(&to, "member@company.example", "5.1.1", "550 5.1.1 User unknown")).await;
        post.read_all().await;
        assert_eq!((post.effects().await, post.suppressed().await), (vec![("bounce", "noted")], vec![]));
        // The same mailbox under another name of its host is the one that we mailed.
        post.deliver(&to, &report(&to, "a0@mx.example.org", "5.1.1", "550 5.1.1 User unknown")).await;
        post.read_all().await;
        assert_eq!(post.suppressed().await, ["a0@example.org"]);
    }

    async fn a_report_about_an_address_that_the_person_has_left_does_not_kill_the_new_one(db) {
        let mut post = Post::begin(db, 1).await;
        let to = post.mail_to("a0@example.org").return_path;
        let sql = "INSERT INTO consents (recipient_id, seq, at, purpose, granted, commitment, chain)
            VALUES (1, 100, $1, 'address', TRUE, $2, $2)";
        post.change(sql, args![post.now(), vec![0u8; 32]]).await;
        post.deliver(&to, &report(&to, "a0@example.org", "5.1.1", "550 5.1.1 User unknown")).await;
        post.read_all().await;
        assert_eq!((post.effects().await, post.suppressed().await), (vec![("bounce", "noted")], vec![]));
    }

    async fn a_full_mailbox_is_noted_and_a_block_slows_the_domain(db) {
        let mut post = Post::begin(db, 2).await;
        let (first, second) = (post.mail_to("a0@example.org").return_path, post.mail_to("a1@example.org").return_path);
        post.deliver(&first, &report(&first, "a0@example.org", "5.2.2", "552 5.2.2 Mailbox full")).await;
        post.deliver(&second, &report(&second, "a1@example.org", "5.7.1", "550 5.7.1 blocked using spam list")).await;
        post.read_all().await;
        assert_eq!(post.effects().await, [("bounce", "soft"), ("bounce", "blocked")]);
        assert_eq!(post.suppressed().await, Vec::<String>::new());
        let pleas: Vec<(String, String)> =
            post.store().read().await.unwrap().all("SELECT relay, domain FROM pleas", vec![]).await.unwrap();
        assert_eq!(pleas, [("catcher".to_owned(), "example.org".to_owned())]);
    }

    async fn a_complaint_suppresses_at_once_though_it_hides_the_address(db) {
        let mut post = Post::begin(db, 1).await;
        let mail = post.mail_to("a0@example.org");
        post.deliver("fbl@shop.example", &complaint(&mail)).await;
        post.read_all().await;
        assert_eq!((post.effects().await, post.suppressed().await), (vec![("complaint", "complained")], vec!["a0@example.org".to_owned()]));
        assert_eq!(post.actions("complaint").await.len(), 1);
    }

    async fn five_messages_in_a_row_over_days_give_an_address_up_and_a_sign_of_life_does_not(db) {
        let mut post = Post::begin(db, 2).await;
        for round in 0..5 {
            if round > 0 {
                post.send_again().await;
            }
            for name in ["a0@example.org", "a1@example.org"] {
                let to = post.mail_to(name).return_path;
                post.deliver(&to, &report(&to, name, "4.2.2", &format!("452 4.2.2 Mailbox full, {round}"))).await;
            }
            post.read_all().await;
        }
        assert_eq!(post.suppressed().await, Vec::<String>::new(), "it went on for a moment only");
        let days = 15 * 86_400_000_000i64;
        post.change("UPDATE messages SET at = at - $1 WHERE run_id = (SELECT MIN(run_id) FROM messages)", args![days]).await;
        post.act(2, "click").await;
        for name in ["a0@example.org", "a1@example.org"] {
            let to = post.mail_to(name).return_path;
            post.deliver(&to, &report(&to, name, "4.2.2", "452 4.2.2 Mailbox full once more")).await;
        }
        post.read_all().await;
        assert_eq!(post.suppressed().await, ["a0@example.org"]);
    }

    async fn mail_to_the_address_of_the_header_unsubscribes_whatever_it_says(db) {
        let mut post = Post::begin(db, 3).await;
        let mails = ["a0@example.org", "a1@example.org", "a2@example.org"].map(|name| post.mail_to(name));
        let to = mails[0].leave_by_mail();
        post.deliver(&to, &format!("From: somebody@example.net\nTo: {to}\nSubject: unsubscribe\nAuto-Submitted: auto-generated\n\n")).await;
        // A reader's own words, as an answer.
        let to = mails[1].reply_to();
        post.deliver(&to, &format!("From: a1@example.org\nTo: {to}\nSubject: Re: Hello\n\nUnsubscribe\n")).await;
        // From a mailbox that somebody reads: known by the mail that it answers.
        let id = mails[2].header("Message-ID");
        post.deliver("", &format!("From: a2@example.org\nTo: service@shop.example\nSubject: Unsubscribe\nIn-Reply-To: {id}\n\n")).await;
        post.read_all().await;
        assert_eq!(post.effects().await.iter().map(|(_, effect)| *effect).collect::<Vec<_>>(), ["left", "left", "left"]);
        assert_eq!(post.subscribed().await, Vec::<i64>::new());
        assert_eq!(post.channels().await, ["mailto", "mailto", "mailto"]);
    }

    async fn anybody_can_write_anothers_address_and_it_unsubscribes_nobody(db) {
        let mut post = Post::begin(db, 1).await;
        post.deliver("", "From: a0@example.org\nTo: service@shop.example\nSubject: unsubscribe\n\nunsubscribe\n").await;
        post.deliver("", "From: nobody@example.org\nTo: service@shop.example\nSubject: unsubscribe\n\nunsubscribe\n").await;
        post.read_all().await;
        assert_eq!(post.effects().await, [("unsubscribe", "unsigned"), ("unsubscribe", "nobody")]);
        assert_eq!(post.subscribed().await, [1]);
    }

    async fn an_answer_counts_stands_with_the_person_and_goes_to_whoever_reads_answers(db) {
        let mut post = Post::begin(db, 1).await;
        let mail = post.mail_to("a0@example.org");
        let to = mail.reply_to();
        assert!(to.starts_with("r-") && to.ends_with("@b.shop.example"), "{to}");
        let answer = format!("From: Anna Å <a0@example.org>\nTo: {to}\nSubject: Re: Hello\nContent-Type: text/plain; charset=utf-8\n\n\
            Do they come in <green>?\n\nOn Monday, Shop wrote:\n> Hello Anna\n> Buy\n");
        post.deliver(&to, &answer).await;
        post.read_all().await;
        assert_eq!(post.effects().await, [("reply", "replied")]);
        assert_eq!(post.actions("reply").await, [(1, Some("Do they come in <green>?".to_owned()))]);
        let passed_on = post.notice().await;
        let text = String::from_utf8_lossy(&passed_on.message).into_owned();
        assert_eq!(passed_on.recipients, ["service@shop.example"]);
        assert!(text.contains("Do they come in") && !text.contains("Buy"), "{text}");
        assert!(text.contains("a0@example.org>\r\n") && text.contains("\r\nAuto-Submitted: auto-generated\r\n"), "{text}");
        assert!(text.lines().any(|line| line.starts_with("Reply-To: ")), "{text}");
        // What reads answers answers by itself, to the return path of what was passed on.
        let vacation = format!("From: service@shop.example\nTo: {}\nSubject: Out of office\nAuto-Submitted: auto-replied\n\nBack on Monday.\n", passed_on.return_path);
        post.deliver(&passed_on.return_path, &vacation).await;
        post.read_all().await;
        assert_eq!(post.effects().await[1], ("auto-reply", "noted"));
        assert_eq!(post.open_notices().await, 0, "no loop");
    }

    async fn an_automatic_answer_is_no_reply_and_our_own_mail_is_nothing(db) {
        let mut post = Post::begin(db, 1).await;
        let mail = post.mail_to("a0@example.org");
        let to = mail.reply_to();
        post.deliver(&to, &format!("From: a0@example.org\nTo: {to}\nSubject: Out of office\nAuto-Submitted: auto-replied\n\nBack on Monday.\n")).await;
        post.deliver(&to, &format!("From: news@shop.example\nTo: {to}\nSubject: Hello\n\nHello\n")).await;
        post.read_all().await;
        assert_eq!(post.effects().await, [("auto-reply", "noted"), ("other", "ours")]);
        assert_eq!((post.actions("reply").await.len(), post.actions("auto_reply").await.len()), (0, 1));
        assert_eq!(post.open_notices().await, 0);
    }

    async fn whoever_answers_all_can_neither_unsubscribe_nor_report_the_person_away(db) {
        let mut post = Post::begin(db, 1).await;
        let to = post.mail_to("a0@example.org").reply_to();
        post.deliver(&to, &format!("From: bert@example.net\nTo: {to}\nSubject: Re: Hello\n\nPlease remove me\n")).await;
        post.deliver(&to, &report(&to, "a0@example.org", "5.1.1", "550 5.1.1 User unknown")).await;
        post.read_all().await;
        assert_eq!(post.effects().await, [("unsubscribe", "replied"), ("bounce", "unsigned")]);
        assert_eq!((post.suppressed().await.len(), post.subscribed().await), (0, vec![1]));
    }

    async fn a_report_that_a_mail_is_no_spam_suppresses_nobody_though_it_names_nobody(db) {
        let mut post = Post::begin(db, 1).await;
        let complaint = complaint(&post.mail_to("a0@example.org"));
        post.deliver("", &complaint.replace("Feedback-Type: abuse", "Feedback-Type: not-spam")).await;
        post.read_all().await;
        assert_eq!((post.suppressed().await.len(), post.actions("complaint").await.len()), (0, 0));
    }

    async fn mail_of_lists_and_programs_is_no_answer(db) {
        let mut post = Post::begin(db, 1).await;
        let to = post.mail_to("a0@example.org").reply_to();
        for field in ["List-Id: <l.example.org>", "Precedence: bulk", "Auto-Submitted: auto-generated", "Return-Path: <>"] {
            post.deliver(&to, &format!("From: a0@example.org\nTo: {to}\nSubject: Re: Hello\n{field}\n\nThanks\n")).await;
        }
        post.read_all().await;
        assert!(post.effects().await.iter().all(|(_, effect)| *effect == "noted"), "{:?}", post.effects().await);
        assert_eq!((post.actions("reply").await.len(), post.open_notices().await), (0, 0));
    }

    async fn a_report_about_what_was_passed_on_does_not_end_passing_on(db) {
        let mut post = Post::begin(db, 1).await;
        let to = post.mail_to("a0@example.org").reply_to();
        let answer = |words: &str| format!("From: a0@example.org\nTo: {to}\nSubject: Re: Hello\n\n{words}\n");
        post.deliver(&to, &answer("first")).await;
        post.read_all().await;
        let passed_on = post.notice().await;
        let back = report(&passed_on.return_path, "service@shop.example", "5.1.1", "550 5.1.1 User unknown");
        post.deliver(&passed_on.return_path, &back).await;
        post.deliver(&to, &answer("second")).await;
        post.read_all().await;
        assert_eq!(post.effects().await[1], ("bounce", "noted"));
        assert_eq!(post.notice().await.recipients, ["service@shop.example"]);
    }

    async fn whoever_was_erased_leaves_no_mail_behind_and_none_is_kept_afterwards(db) {
        let mut post = Post::begin(db, 2).await;
        let (mail, other) = (post.mail_to("a0@example.org"), post.mail_to("a1@example.org"));
        let to = mail.reply_to();
        let answer = |words: &str| format!("From: a0@example.org\nTo: {to}\nSubject: Re: Hello\n\n{words}\n");
        post.deliver(&to, &answer("Zwiebelfisch first")).await;
        post.deliver("", &report("postmaster@shop.example", "a0@example.org", "5.1.1", "550 Zwiebelfisch unknown")).await;
        post.read_all().await;
        post.deliver(&to, &answer("Zwiebelfisch second")).await;
        let address = Address::parse("a0@example.org").unwrap();
        colloquy::store::erasure::forget_address(post.store(), &post.key(), &address, post.now()).await.unwrap();
        post.read_all().await;
        post.deliver(&other.reply_to(), &format!("From: a1@example.org\nTo: {}\nSubject: Re: Hello\n\nI stay\n", other.reply_to())).await;
        post.read_all().await;
        let (kept,): (i64,) = post.store().read().await.unwrap().one("SELECT COUNT(*) FROM inbound WHERE raw IS NOT NULL", vec![]).await.unwrap();
        assert_eq!((kept, post.listed().await.len()), (1, 4));
        let (words,): (i64,) = post.store().read().await.unwrap()
            .one("SELECT COUNT(*) FROM actions WHERE words LIKE '%wiebel%'", vec![]).await.unwrap();
        assert_eq!(words, 0);
        assert!(suppressions::contains(&mut post.store().read().await.unwrap(), &address.hash(&post.key())).await.unwrap());
    }
}
