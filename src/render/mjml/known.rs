//! MJML's elements, where they stand, and their attributes, since mrml takes any.

/// The elements.
pub(super) const ELEMENTS: [&str; 34] = [
    "mj-accordion",
    "mj-accordion-element",
    "mj-accordion-text",
    "mj-accordion-title",
    "mj-all",
    "mj-attributes",
    "mj-body",
    "mj-breakpoint",
    "mj-button",
    "mj-carousel",
    "mj-carousel-image",
    "mj-class",
    "mj-column",
    "mj-divider",
    "mj-font",
    "mj-group",
    "mj-head",
    "mj-hero",
    "mj-image",
    "mj-include",
    "mj-navbar",
    "mj-navbar-link",
    "mj-preview",
    "mj-raw",
    "mj-section",
    "mj-social",
    "mj-social-element",
    "mj-spacer",
    "mj-style",
    "mj-table",
    "mj-text",
    "mj-title",
    "mj-wrapper",
    "mjml",
];

/// Elements that hold elements, never text.
pub(super) const WITHOUT_TEXT: [&str; 15] = [
    "mjml",
    "mj-accordion",
    "mj-accordion-element",
    "mj-attributes",
    "mj-body",
    "mj-carousel",
    "mj-column",
    "mj-group",
    "mj-head",
    "mj-hero",
    "mj-navbar",
    "mj-section",
    "mj-social",
    "mj-spacer",
    "mj-wrapper",
];

/// The attributes of all elements together, and ours for links.
pub(super) const ATTRIBUTES: &str = "align alt background background-color background-height background-position \
    background-position-x background-position-y background-repeat background-size background-url background-width \
    base-url border border-bottom border-color border-left border-radius border-right border-style border-top \
    border-width cellpadding cellspacing color container-background-color css-class data-category data-track \
    data-utm dir direction fluid-on-mobile font-family font-size font-style font-weight full-width hamburger height \
    href ico-align ico-close ico-color ico-font-family ico-font-size ico-line-height ico-open ico-padding \
    ico-padding-bottom ico-padding-left ico-padding-right ico-padding-top ico-text-decoration ico-text-transform \
    icon-align icon-color icon-height icon-padding icon-position icon-size icon-unwrapped-alt icon-unwrapped-url \
    icon-width icon-wrapped-alt icon-wrapped-url id inline inner-background-color inner-border inner-border-bottom \
    inner-border-left inner-border-radius inner-border-right inner-border-top inner-padding inner-padding-bottom \
    inner-padding-left inner-padding-right inner-padding-top lang left-icon letter-spacing line-height max-width \
    mj-class mobile-width mode name owa padding padding-bottom padding-left padding-right padding-top rel right-icon \
    role sizes src srcset table-layout target tb-border tb-border-radius tb-hover-border-color \
    tb-selected-border-color tb-width text-align text-decoration text-padding text-transform thumbnails \
    thumbnails-src title type usemap vertical-align width xmlns";

/// What an element may stand in; nothing where that does not matter. mrml makes broken tables of
/// anything else.
pub(super) fn parents(name: &str) -> &'static [&'static str] {
    match name {
        "mj-head" | "mj-body" => &["mjml"],
        "mj-wrapper" | "mj-hero" => &["mj-body"],
        "mj-section" => &["mj-body", "mj-wrapper"],
        "mj-group" => &["mj-section"],
        "mj-column" => &["mj-section", "mj-group"],
        "mj-accordion" | "mj-button" | "mj-carousel" | "mj-divider" | "mj-image" | "mj-navbar" | "mj-social"
        | "mj-spacer" | "mj-table" | "mj-text" => &["mj-column", "mj-hero"],
        _ => &[],
    }
}
