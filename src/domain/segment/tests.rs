use super::*;

#[test]
fn the_example_of_the_readme_is_taken() {
    let catalog = Catalog { warm: 20.0, ..Catalog::default() };
    let text = r#"score >= 40 and cluster in ["running", "trail"] and attr.country = "DE"
        and clicked("winter-sale", within = "14d") and not received(within = "3d")"#;
    let condition = Condition::parse(text, &catalog).unwrap();
    assert_eq!(
        condition.expr.to_string(),
        r#"score >= 40 and cluster in ["running", "trail"] and attr.country = "DE" and clicked(campaign = "winter-sale", within = "2w") and not received(within = "3d")"#
    );
}
