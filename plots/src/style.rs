//! How curves are told apart: by colour, by dash and by mark, so that two of them still differ for
//! a reader who sees no colours and on a page that has none.

/// A colour: red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Color(pub u8, pub u8, pub u8);

impl std::fmt::Display for Color {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(red, green, blue) = self;
        write!(out, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// The line of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dash {
    /// Unbroken.
    Solid,
    /// Long dashes, short gaps.
    Long,
    /// A dash, a dot.
    DashDot,
    /// Short dashes: broken schemes only, as are those that follow.
    Short,
    /// Dots.
    Dotted,
    /// A dash, two dots.
    DashDotDot,
}

impl Dash {
    /// Lengths of line and gap in pixels, in turn; empty for an unbroken line.
    pub(crate) fn pattern(self) -> &'static [f64] {
        match self {
            Self::Solid => &[],
            Self::Long => &[14.0, 3.0],
            Self::DashDot => &[12.0, 3.0, 3.0, 3.0],
            Self::Short => &[5.0, 4.0],
            Self::Dotted => &[1.5, 3.0],
            Self::DashDotDot => &[7.0, 3.0, 1.5, 3.0, 1.5, 3.0],
        }
    }
}

/// What stands at a curve's points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// A disc.
    Circle,
    /// A square.
    Square,
    /// A triangle on its base.
    TriangleUp,
    /// A square on its corner.
    Diamond,
    /// A triangle on its tip.
    TriangleDown,
    /// A disc with a white middle.
    OpenCircle,
    /// A square with a white middle.
    OpenSquare,
    /// A diamond with a white middle.
    OpenDiamond,
    /// An x: broken schemes only, as are those that follow.
    Cross,
    /// A plus.
    Plus,
    /// Both.
    Star,
}

/// How one curve looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Style {
    /// Its colour.
    pub color: Color,
    /// Its line.
    pub dash: Dash,
    /// Its mark.
    pub mark: Mark,
}

/// Okabe and Ito's colours, which the colour-blind tell apart, without the yellow, which is lost
/// on white, and with a grey.
const COLORS: [Color; 8] = [
    Color(0, 0, 0),
    Color(120, 120, 120),
    Color(0, 114, 178),
    Color(213, 94, 0),
    Color(0, 158, 115),
    Color(230, 159, 0),
    Color(86, 180, 233),
    Color(204, 121, 167),
];

const MARKS: [Mark; 8] = [
    Mark::Circle,
    Mark::OpenCircle,
    Mark::Square,
    Mark::TriangleUp,
    Mark::Diamond,
    Mark::TriangleDown,
    Mark::OpenSquare,
    Mark::OpenDiamond,
];

/// The colours and marks of broken schemes: what no sound one with the same colour has.
const BROKEN: [(Color, Mark); 3] = [
    (Color(213, 94, 0), Mark::Cross),
    (Color(0, 114, 178), Mark::Plus),
    (Color(0, 0, 0), Mark::Star),
];

/// How many sound curves, and how many broken ones, can be told apart.
pub const DISTINCT: (usize, usize) = (24, 9);

impl Style {
    /// The style of the sound scheme that is `place`th, from 0.
    pub fn sound(place: usize) -> Self {
        // Four of a kind of line: with eight curves in a panel, unbroken ones alone are too alike
        // in grey.
        let dashes = [Dash::Solid, Dash::Long, Dash::DashDot];
        let round = place / COLORS.len();
        Self {
            color: COLORS[place % COLORS.len()],
            dash: dashes[(place % COLORS.len() / 4 + round) % dashes.len()],
            mark: MARKS[place % MARKS.len()],
        }
    }

    /// The style of the broken scheme that is `place`th of the broken ones, from 0.
    pub fn broken(place: usize) -> Self {
        let dashes = [Dash::Short, Dash::Dotted, Dash::DashDotDot];
        let (color, mark) = BROKEN[place % BROKEN.len()];
        let round = place / BROKEN.len();
        Self {
            color,
            dash: dashes[(place + round) % dashes.len()],
            mark,
        }
    }

    /// A thin line, in a colour that no other has, for the second run of the baseline: how far it
    /// lies from the first is what every other difference is to be held against.
    pub fn again() -> Self {
        Self {
            color: Color(200, 0, 60),
            dash: Dash::Solid,
            mark: Mark::Circle,
        }
    }

    /// The fill of the `place`th kind of part, from 0: colours first, then the same hatched.
    pub fn fill(place: usize) -> Fill {
        // Black is for text and whiskers.
        let colors = &COLORS[1..];
        Fill {
            color: colors[(place + 1) % colors.len()],
            hatched: place / colors.len() % 2 == 1,
        }
    }
}

/// What an area is filled with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fill {
    /// The colour.
    pub color: Color,
    /// White lines across it, so that neighbours differ without colour, too.
    pub hatched: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn all() -> Vec<Style> {
        let sound = (0..DISTINCT.0).map(Style::sound);
        sound.chain((0..DISTINCT.1).map(Style::broken)).collect()
    }

    #[test]
    fn no_two_curves_look_alike_and_none_without_colours_either() {
        let styles = all();
        for (at, one) in styles.iter().enumerate() {
            for other in &styles[at + 1..] {
                assert_ne!((one.color, one.dash), (other.color, other.dash));
                assert_ne!((one.dash, one.mark), (other.dash, other.mark));
            }
        }
    }

    #[test]
    fn a_broken_scheme_never_has_the_line_or_the_mark_of_a_sound_one() {
        let of = |styles: &mut dyn Iterator<Item = Style>| -> BTreeSet<String> {
            let parts = styles.flat_map(|it| [format!("{:?}", it.dash), format!("{:?}", it.mark)]);
            parts.collect()
        };
        let sound = of(&mut (0..DISTINCT.0).map(Style::sound));
        let broken = of(&mut (0..DISTINCT.1).map(Style::broken));
        assert!(sound.is_disjoint(&broken), "{sound:?} {broken:?}");
    }

    #[test]
    fn every_colour_stands_out_from_white() {
        let again = Style::again();
        assert!(all().iter().all(|it| it.color != again.color));
        for Style { color, .. } in all().into_iter().chain([again]) {
            let Color(red, green, blue) = color;
            let luminance =
                0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue);
            assert!(luminance < 180.0, "{color:?}");
        }
    }
}
