//! Colours as styles write them, and how well one is read on another.

/// An opaque colour, in sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Color(pub [u8; 3]);

/// Names that mails use; others are not judged.
const NAMES: [(&str, u32); 22] = [
    ("aqua", 0x00_ffff),
    ("black", 0x00_0000),
    ("blue", 0x00_00ff),
    ("darkblue", 0x00_008b),
    ("darkgray", 0xa9_a9a9),
    ("darkgreen", 0x00_6400),
    ("darkred", 0x8b_0000),
    ("fuchsia", 0xff_00ff),
    ("gray", 0x80_8080),
    ("green", 0x00_8000),
    ("grey", 0x80_8080),
    ("lightgray", 0xd3_d3d3),
    ("lime", 0x00_ff00),
    ("maroon", 0x80_0000),
    ("navy", 0x00_0080),
    ("olive", 0x80_8000),
    ("orange", 0xff_a500),
    ("purple", 0x80_0080),
    ("red", 0xff_0000),
    ("silver", 0xc0_c0c0),
    ("white", 0xff_ffff),
    ("yellow", 0xff_ff00),
];

impl Color {
    pub const BLACK: Self = Self([0; 3]);
    pub const WHITE: Self = Self([255; 3]);
    /// Of a link without a style.
    pub const LINK: Self = Self([0, 0, 238]);

    /// Reads `#rgb`, `#rrggbb`, `rgb(…)` and common names.
    pub fn parse(css: &str) -> Option<Self> {
        let css = css.trim().to_ascii_lowercase();
        if let Some(digits) = css.strip_prefix('#') {
            let long: String =
                if digits.len() == 3 { digits.chars().flat_map(|c| [c, c]).collect() } else { digits.into() };
            return (long.len() == 6).then(|| u32::from_str_radix(&long, 16).ok()).flatten().map(Self::from);
        }
        if let Some(numbers) = css.strip_prefix("rgb(").and_then(|rest| rest.strip_suffix(')')) {
            let mut parts = numbers.split([',', ' ']).filter(|p| !p.is_empty()).map(str::parse);
            let mut next = || parts.next()?.ok();
            return Some(Self([next()?, next()?, next()?]));
        }
        NAMES.iter().find(|(name, _)| *name == css).map(|(_, value)| Self::from(*value))
    }

    /// As `#rrggbb`.
    pub fn hex(self) -> String {
        self.0.iter().fold("#".to_owned(), |text, part| format!("{text}{part:02x}"))
    }

    /// Contrast ratio, from 1 to 21 (WCAG 2.2).
    pub fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn luminance(self) -> f64 {
        let linear = |part: u8| match f64::from(part) / 255.0 {
            value if value <= 0.04045 => value / 12.92,
            value => ((value + 0.055) / 1.055).powf(2.4),
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

impl From<u32> for Color {
    fn from(value: u32) -> Self {
        let [_, red, green, blue] = value.to_be_bytes();
        Self([red, green, blue])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_in_every_notation() {
        for css in ["#b93c0a", "#B93C0A", " rgb(185, 60, 10) ", "rgb(185 60 10)"] {
            assert_eq!(Color::parse(css), Some(Color([185, 60, 10])), "{css}");
        }
        assert_eq!(Color::parse("#fff"), Color::parse("White"));
        for unknown in ["transparent", "#ff", "#12345g", "rgb(1,2)", "rgba(0,0,0,0.5)", "url(x)", "#üü", ""] {
            assert_eq!(Color::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn contrast_is_that_of_the_standard() {
        let ratio = |a: &str, b: &str| Color::parse(a).unwrap().contrast(Color::parse(b).unwrap());
        assert!((ratio("white", "black") - 21.0).abs() < 1e-9);
        assert!((ratio("#777777", "#fff") - 4.478).abs() < 1e-3);
        assert!((ratio("#fff", "#767676") - 4.542).abs() < 1e-3);
    }
}
