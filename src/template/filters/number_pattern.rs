//! Numbers by .NET's custom format strings: `#,##0.00;(0)`.

use std::fmt::Write as _;

use super::number::Number;

/// What one section of a pattern asks for, found before anything is written.
#[derive(Debug, Default)]
struct Plan {
    /// Digit places in all, and before the point.
    places: i32,
    whole: i32,
    /// Places before the first and up to the last `0`.
    first_zero: Option<i32>,
    last_zero: i32,
    grouped: bool,
    scientific: bool,
    /// By how many powers of ten `%`, `‰` and trailing commas move the point.
    shift: i32,
}

/// Shows a finite number by a pattern.
pub(super) fn show(mut number: Number, pattern: &str) -> String {
    let pattern: Vec<char> = pattern.chars().collect();
    let wanted = if number.digits.is_empty() { 2 } else { usize::from(number.negative) };
    let mut start = section(&pattern, wanted);
    let plan = loop {
        let plan = plan(&pattern[start..]);
        if number.digits.is_empty() {
            number.round(0);
            break plan;
        }
        number.scale += plan.shift;
        let kept = if plan.scientific { plan.places } else { number.scale + plan.places - plan.whole };
        number.round(kept.into());
        // What rounds to zero is shown as zero, once.
        let zero = section(&pattern, 2);
        if !number.digits.is_empty() || zero == start {
            break plan;
        }
        start = zero;
    };
    let mut out = Writer::new(&number, &plan).write(&pattern[start..]);
    if number.negative && start == 0 && (number.scale != 0 || !out.is_empty()) {
        out.insert(0, '-');
    }
    out
}

/// Where the section for positive (0), negative (1) or zero (2) numbers starts; the first one when there is none.
fn section(pattern: &[char], mut wanted: usize) -> usize {
    let mut at = 0;
    while wanted > 0 {
        let Some(&c) = pattern.get(at) else { return 0 };
        at += 1;
        match c {
            '\'' | '"' => at = after_quote(pattern, at, c),
            '\\' => at += 1,
            ';' => {
                wanted -= 1;
                if wanted == 0 {
                    return if pattern.get(at).is_some_and(|&c| c != ';') { at } else { 0 };
                }
            }
            _ => {}
        }
    }
    at
}

fn after_quote(pattern: &[char], at: usize, quote: char) -> usize {
    pattern[at..].iter().position(|&c| c == quote).map_or(pattern.len(), |length| at + length + 1)
}

fn plan(pattern: &[char]) -> Plan {
    let mut plan = Plan::default();
    let (mut point, mut comma, mut commas) = (None, None, 0);
    let mut at = 0;
    while let Some(&c) = pattern.get(at) {
        at += 1;
        match c {
            ';' => break,
            '#' => plan.places += 1,
            '0' => {
                plan.first_zero.get_or_insert(plan.places);
                plan.places += 1;
                plan.last_zero = plan.places;
            }
            '.' => {
                point.get_or_insert(plan.places);
            }
            ',' if plan.places > 0 && point.is_none() => {
                if comma == Some(plan.places) {
                    commas += 1;
                } else {
                    plan.grouped |= comma.is_some();
                    comma = Some(plan.places);
                    commas = 1;
                }
            }
            '%' => plan.shift += 2,
            '‰' => plan.shift += 3,
            '\'' | '"' => at = after_quote(pattern, at, c),
            '\\' => at += 1,
            'E' | 'e' => {
                if let Some(exponent) = Exponent::at(pattern, at) {
                    plan.scientific = true;
                    at = exponent.end;
                }
            }
            _ => {}
        }
    }
    plan.whole = point.unwrap_or(plan.places);
    match comma {
        Some(comma) if comma == plan.whole => plan.shift -= 3 * commas,
        Some(_) => plan.grouped = true,
        None => {}
    }
    plan
}

/// `E0`, `E+00`, `e-000`: an exponent, after its letter.
struct Exponent {
    width: usize,
    plus: bool,
    end: usize,
}

impl Exponent {
    fn at(pattern: &[char], at: usize) -> Option<Self> {
        let sign = pattern.get(at).filter(|c| matches!(c, '+' | '-'));
        let start = at + usize::from(sign.is_some());
        let width = pattern.get(start..)?.iter().take_while(|&&c| c == '0').count();
        (width > 0).then(|| Self { width: width.min(10), plus: sign == Some(&'+'), end: start + width })
    }
}

struct Writer<'n> {
    number: &'n Number,
    plan: &'n Plan,
    out: String,
    /// The next digit of the number.
    next: usize,
    /// The place that is written next, counted down to the point at 0.
    place: i32,
    /// Digits that the pattern has no place for (above 0), or places before the first digit (below 0).
    spare: i32,
    first_zero: i32,
    last_zero: i32,
}

impl<'n> Writer<'n> {
    fn new(number: &'n Number, plan: &'n Plan) -> Self {
        let (place, spare) = if plan.scientific {
            (plan.whole, 0)
        } else {
            (number.scale.max(plan.whole), number.scale - plan.whole)
        };
        Self {
            number,
            plan,
            out: String::new(),
            next: 0,
            place,
            spare,
            first_zero: plan.first_zero.map_or(0, |first| (plan.whole - first).max(0)),
            last_zero: (plan.whole - plan.last_zero).min(0),
        }
    }

    fn write(mut self, pattern: &[char]) -> String {
        let mut at = 0;
        let mut has_point = false;
        let mut has_exponent = false;
        while let Some(&c) = pattern.get(at) {
            at += 1;
            if matches!(c, '#' | '0' | '.') {
                while self.spare > 0 {
                    let digit = self.take().unwrap_or('0');
                    self.push(digit);
                    self.spare -= 1;
                }
            }
            match c {
                ';' => break,
                '#' | '0' => self.digit(),
                '.' => {
                    let follows = self.last_zero < 0
                        || (self.plan.whole < self.plan.places && self.next < self.number.digits.len());
                    if self.place == 0 && !has_point && follows {
                        self.out.push('.');
                        has_point = true;
                    }
                }
                ',' => {}
                '\'' | '"' => {
                    let end = after_quote(pattern, at, c);
                    let text = pattern[at..end].iter().filter(|&&inner| inner != c);
                    self.out.extend(text);
                    at = end;
                }
                '\\' => {
                    self.out.extend(pattern.get(at));
                    at += 1;
                }
                'E' | 'e' => match Exponent::at(pattern, at) {
                    Some(exponent) if !has_exponent => {
                        self.exponent(c, &exponent);
                        has_exponent = true;
                        at = exponent.end;
                    }
                    // A second one is text, its zeros too.
                    again => {
                        let end = again.map_or(at, |exponent| exponent.end);
                        self.out.extend(&pattern[at - 1..end]);
                        at = end;
                    }
                },
                c => self.out.push(c),
            }
        }
        self.out
    }

    fn take(&mut self) -> Option<char> {
        let digit = self.number.digits.get(self.next)?;
        self.next += 1;
        Some(char::from(*digit))
    }

    fn digit(&mut self) {
        let digit = if self.spare < 0 {
            self.spare += 1;
            (self.place <= self.first_zero).then_some('0')
        } else {
            self.take().or((self.place > self.last_zero).then_some('0'))
        };
        match digit {
            Some(digit) => self.push(digit),
            None => self.place -= 1,
        }
    }

    fn push(&mut self, digit: char) {
        self.out.push(digit);
        if self.plan.grouped && self.place > 1 && (self.place - 1) % 3 == 0 {
            self.out.push(',');
        }
        self.place -= 1;
    }

    fn exponent(&mut self, letter: char, exponent: &Exponent) {
        let value = if self.number.digits.is_empty() { 0 } else { self.number.scale - self.plan.whole };
        self.out.push(letter);
        if value < 0 {
            self.out.push('-');
        } else if exponent.plus {
            self.out.push('+');
        }
        // Writing to a String cannot fail.
        let _ = write!(self.out, "{:0>width$}", value.unsigned_abs(), width = exponent.width);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn digits_and_zeros() {
        check(&[
            ("Format|0", "2.5", Some("3")),
            ("Format|00000", "123", Some("00123")),
            ("Format|#####", "123", Some("123")),
            ("Format|#", "0", Some("")),
            ("Format|0.00", "1.005", Some("1.01")),
            ("Format|0.##", "1.10", Some("1.1")),
            ("Format|0.##", "1.00", Some("1")),
            ("Format|#.##", "0.5", Some(".5")),
            ("Format|0.0#", "-0.5", Some("-0.5")),
            ("Format|0.00", "-0.001", Some("0.00")),
            ("Format|Double|0.00", "-0.001", Some("-0.00")),
            ("Format|(###) ###-####", "1234567890", Some("(123) 456-7890")),
            ("Format|0.0.0", "1.23", Some("1.23")),
            ("Format|Double|0.00000000000000000000", "0.1", Some("0.10000000000000000000")),
            ("Format|Double|0", "1e20", Some("100000000000000000000")),
            ("Format|Int|0000", "-7", Some("-0007")),
        ]);
    }

    #[test]
    fn groups_and_scales() {
        check(&[
            ("Format|#,##0", "1234567", Some("1,234,567")),
            ("Format|#,##0.00", "12", Some("12.00")),
            ("Format|0,000", "12", Some("0,012")),
            ("Format|#,#", "1234567.8", Some("1,234,568")),
            ("Format|0,", "1234567", Some("1235")),
            ("Format|0.0,,", "1234567", Some("1234567.0")),
            ("Format|0,,.0", "1234567", Some("1.2")),
            ("Format|#,##0,", "1234567890", Some("1,234,568")),
            ("Format|0.0%", "0.1234", Some("12.3%")),
            ("Format|0‰", "0.0123", Some("12‰")),
        ]);
    }

    #[test]
    fn exponents() {
        check(&[
            ("Format|0.0E0", "12345", Some("1.2E4")),
            ("Format|0.0E+00", "12345", Some("1.2E+04")),
            ("Format|0.0e-000", "0.00012", Some("1.2e-004")),
            ("Format|00.0E0", "12345", Some("12.3E3")),
            ("Format|0E+0", "0", Some("0E+0")),
            ("Format|0 East", "5", Some("5 East")),
            ("Format|0E0E0", "5", Some("5E0E0")),
        ]);
    }

    #[test]
    fn sections_and_literals() {
        check(&[
            ("Format|0;(0)", "-5", Some("(5)")),
            ("Format|0;(0);zero", "0", Some("zero")),
            ("Format|0;(0);zero", "0.4", Some("zero")),
            ("Format|0;;zero", "-5", Some("-5")),
            ("Format|0;(0)", "0", Some("0")),
            ("Format|'#'0\" %\"\\;", "5", Some("#5 %;")),
            ("Format|'a;b'0;'neg'0", "-5", Some("neg5")),
            ("Format|'open 0", "5", Some("open 0")),
            ("Format|0\\", "5", Some("5")),
            ("Format|abc", "-5", Some("-abc")),
            ("Format|0 kg", "5", Some("5 kg")),
        ]);
    }
}
