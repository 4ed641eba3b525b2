//! Runs the tables in `tests/template/cases`: a file for each topic.
//!
//! `# title` begins a topic without variables, `$ name = value` sets one, `> text` is rendered and must come out as the
//! lines below it say: `= value`, `? missing token`, `! part of the error`, `null`. `⏎` stands for a line's end; a `·`
//! at either end of a line, or in a value, for a blank.

use octarm::model::Variable;
use octarm::template::Variables;

use super::rendered;

const FILES: [(&str, &str); 8] = [
    ("text", include_str!("cases/text.txt")),
    ("paths", include_str!("cases/paths.txt")),
    ("values", include_str!("cases/values.txt")),
    ("json", include_str!("cases/json.txt")),
    ("filters", include_str!("cases/filters.txt")),
    ("conditions", include_str!("cases/conditions.txt")),
    ("loops", include_str!("cases/loops.txt")),
    ("calculations", include_str!("cases/calculations.txt")),
];

#[derive(Default)]
struct Case {
    template: String,
    value: Option<String>,
    missing: Vec<String>,
    error: Option<String>,
}

#[test]
fn every_case_holds() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for (file, text) in FILES {
        let mut variables = Variables::default();
        let mut title = "";
        let mut case: Option<Case> = None;
        let mut check = |case: &mut Option<Case>, title: &str, variables: &Variables| {
            let Some(case) = case.take() else { return };
            count += 1;
            let found = rendered(&case.template, variables);
            let is_right = found.value == case.value
                && found.missing == case.missing
                && match (&found.error, &case.error) {
                    (Some(found), Some(expected)) => found.contains(expected.as_str()),
                    (None, None) => true,
                    _ => false,
                };
            if !is_right {
                wrong.push(format!("{file}: {title}: {}\n  {found:?}", case.template));
            }
        };
        for line in text.lines() {
            let rest = line.get(2..).unwrap_or_default();
            let rest = rest.strip_prefix('·').map_or(rest.to_owned(), |rest| format!(" {rest}"));
            let rest =
                rest.strip_suffix('·').map_or(rest.clone(), |rest| format!("{rest} ")).replace('⏎', "\n");
            let open = |case: &mut Option<Case>| case.take().expect("an expectation follows a template");
            match line.split(' ').next().unwrap_or_default() {
                "" => {}
                "#" => {
                    check(&mut case, title, &variables);
                    variables = Variables::default();
                    title = line;
                }
                "$" => {
                    check(&mut case, title, &variables);
                    let (name, value) = rest.split_once(" =").expect("a variable has a value");
                    variables.set(Variable::plain(
                        name,
                        value.strip_prefix(' ').unwrap_or(value).replace('·', " "),
                    ));
                }
                ">" => {
                    check(&mut case, title, &variables);
                    case = Some(Case { template: rest, ..Case::default() });
                }
                "=" => case = Some(Case { value: Some(rest), ..open(&mut case) }),
                "null" => case = Some(Case { value: None, ..open(&mut case) }),
                "?" => case.as_mut().unwrap().missing.push(rest),
                "!" => case = Some(Case { error: Some(rest), ..open(&mut case) }),
                other => panic!("{file}: no such line: {other}"),
            }
        }
        check(&mut case, title, &variables);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 150, "only {count} cases were found");
}
