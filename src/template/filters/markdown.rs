//! Markdown as HTML: the common kind with pipe tables, extra emphasis and links made of bare addresses.

use std::fmt::{self, Write as _};

use comrak::html::{ChildRendering, Context, format_document_with_formatter, format_node_default};
use comrak::nodes::{AstNode, NodeValue, TableAlignment};
use comrak::options::Plugins;
use comrak::{Arena, Options, parse_document};

pub(super) fn to_html(input: &str, options: &[&str]) -> Option<String> {
    if !options.is_empty() {
        return None;
    }
    let markdown = syntax();
    let arena = Arena::new();
    let document = parse_document(&arena, input.trim(), &markdown);
    let mut out = String::new();
    // Writing to a String cannot fail.
    format_document_with_formatter(document, &markdown, &mut out, &Plugins::default(), write, ()).ok()?;
    out.push('\n');
    Some(out)
}

/// What Octopus's Markdown understands. Raw HTML is passed on: a template is as trusted as the page it makes.
fn syntax() -> Options<'static> {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.autolink = true;
    options.extension.strikethrough = true;
    options.extension.subscript = true;
    options.extension.superscript = true;
    options.extension.insert = true;
    options.extension.highlight = true;
    options.render.r#unsafe = true;
    options
}

fn write<'a>(
    context: &mut Context<'_, '_>,
    node: &'a AstNode<'a>,
    entering: bool,
) -> Result<ChildRendering, fmt::Error> {
    match &node.data().value {
        NodeValue::TableCell if entering => {
            let (tag, style) = cell(node);
            context.cr()?;
            write!(context, "<{tag}{style}>")?;
            Ok(ChildRendering::HTML)
        }
        NodeValue::Link(link) if is_bare_email(node, &link.url) => Ok(ChildRendering::HTML),
        _ => format_node_default(context, node, entering),
    }
}

/// Alignment is a style here, where other renderers write the `align` of old.
fn cell<'a>(node: &'a AstNode<'a>) -> (&'static str, &'static str) {
    let Some(row) = node.parent() else { return ("td", "") };
    let tag = if matches!(row.data().value, NodeValue::TableRow(true)) { "th" } else { "td" };
    let column = std::iter::successors(node.previous_sibling(), |cell| cell.previous_sibling()).count();
    let alignment = row.parent().and_then(|table| match &table.data().value {
        NodeValue::Table(table) => table.alignments.get(column).copied(),
        _ => None,
    });
    let style = match alignment {
        Some(TableAlignment::Left) => " style=\"text-align: left;\"",
        Some(TableAlignment::Center) => " style=\"text-align: center;\"",
        Some(TableAlignment::Right) => " style=\"text-align: right;\"",
        Some(TableAlignment::None) | None => "",
    };
    (tag, style)
}

/// An e-mail address that nobody marked as a link stays text: its link covers no more of the source than its letters.
fn is_bare_email<'a>(node: &'a AstNode<'a>, url: &str) -> bool {
    let Some(address) = url.strip_prefix("mailto:") else { return false };
    let position = node.data().sourcepos;
    position.end.column + 1 == position.start.column + address.len()
        && position.start.line == position.end.line
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, filter};

    #[test]
    fn markdown_becomes_html() {
        check(&[
            ("Markdown", "_yeah!_", Some("<p><em>yeah!</em></p>\n\n")),
            (
                "MarkdownToHtml",
                "  # Title\n\n* a\n* b ",
                Some("<h1>Title</h1>\n<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n\n"),
            ),
            ("Markdown", "", Some("\n")),
            ("Markdown", "a <b>b</b> & \"c\"", Some("<p>a <b>b</b> &amp; &quot;c&quot;</p>\n\n")),
            (
                "Markdown",
                "```js\na<b\n```",
                Some("<pre><code class=\"language-js\">a&lt;b\n</code></pre>\n\n"),
            ),
            (
                "Markdown",
                "~~a~~ ~b~ ^c^ ++d++ ==e==",
                Some("<p><del>a</del> <sub>b</sub> <sup>c</sup> <ins>d</ins> <mark>e</mark></p>\n\n"),
            ),
            ("Markdown|x", "a", None),
        ]);
    }

    #[test]
    fn addresses_become_links() {
        check(&[
            (
                "Markdown",
                "http://octopus.com",
                Some("<p><a href=\"http://octopus.com\">http://octopus.com</a></p>\n\n"),
            ),
            (
                "Markdown",
                "[Some](http://octopus.com)",
                Some("<p><a href=\"http://octopus.com\">Some</a></p>\n\n"),
            ),
            ("Markdown", "x www.a.org.", Some("<p>x <a href=\"http://www.a.org\">www.a.org</a>.</p>\n\n")),
            ("Markdown", "é me@a.org", Some("<p>é me@a.org</p>\n\n")),
            ("Markdown", "<me@a.org>", Some("<p><a href=\"mailto:me@a.org\">me@a.org</a></p>\n\n")),
            (
                "Markdown",
                "[me@a.org](mailto:me@a.org)",
                Some("<p><a href=\"mailto:me@a.org\">me@a.org</a></p>\n\n"),
            ),
        ]);
    }

    #[test]
    fn pipe_tables() {
        check(&[
            (
                "Markdown",
                "|H1|H2|\n|-|-|\n|C1|C2|",
                Some(
                    "<table>\n<thead>\n<tr>\n<th>H1</th>\n<th>H2</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>C1</td>\n\
                     <td>C2</td>\n</tr>\n</tbody>\n</table>\n\n",
                ),
            ),
            (
                "Markdown",
                "a|b|c\n:-|:-:|-:\n1|2|3",
                Some(
                    "<table>\n<thead>\n<tr>\n<th style=\"text-align: left;\">a</th>\n\
                     <th style=\"text-align: center;\">b</th>\n<th style=\"text-align: right;\">c</th>\n</tr>\n\
                     </thead>\n<tbody>\n<tr>\n<td style=\"text-align: left;\">1</td>\n\
                     <td style=\"text-align: center;\">2</td>\n<td style=\"text-align: right;\">3</td>\n</tr>\n\
                     </tbody>\n</table>\n\n",
                ),
            ),
        ]);
    }

    #[test]
    fn deep_nesting_ends() {
        const DEEP: usize = 100_000;
        for opening in [">", "* ", "[", "*a **a ", "![", "<div>", "- > ", "~~", "|a"] {
            let deep = opening.repeat(DEEP);
            // Markup of this depth may well be over the limit of a result; the stack and the time are what counts.
            assert_ne!(filter("Markdown", Some(&deep)), Ok(None), "{opening}");
        }
    }
}
