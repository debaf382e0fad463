//! What would change: two policies side by side.

use super::html::{Escaped, NONE, Page, add, table, whole, words};
use crate::{
    replay::{
        comparison::{ChangeDifference, Compared, ServiceDifference, Side},
        policies::ComparedPolicies,
        side_by_side::{Figure, figures, in_mode},
        summary::Summary,
        text::counted,
    },
    score::policy::Difference,
};

/// Rows of each list; the page says how many are left out.
const ROWS_MAX: usize = 40;

pub(super) fn write(page: &mut Page, a: &Summary, compared: &Compared) {
    add!(page, "<section>\n<h2>What would change</h2>\n");
    policies(page, &compared.policies);
    if compared.is_same() {
        add!(
            page,
            "<p><strong>Nothing.</strong> Both policies decide alike on every service and every change.</p>\n"
        );
    }
    let row = |figure: Figure| {
        let Figure { name, a, b, decimals } = figure;
        let text = |value: Option<f64>| value.map_or_else(|| NONE.to_owned(), |value| format!("{value:.decimals$}"));
        let apart = figure.apart().map(|apart| {
            if apart == 0.0 {
                "0".to_owned()
            } else {
                format!("{apart:+.decimals$}").replace('-', "−")
            }
        });
        vec![
            Escaped(name).to_string(),
            text(a),
            text(b),
            apart.unwrap_or_else(|| NONE.to_owned()),
        ]
    };
    let rows: Vec<Vec<String>> = figures(a, &compared.b).into_iter().map(row).collect();
    table(
        page,
        "Both policies over the same events",
        &["", "A", "B", "B − A"],
        &rows,
    );
    services(page, compared);
    changes(page, compared);
    passes(page, compared);
    add!(page, "</section>\n");
}

/// What is compared.
fn policies(page: &mut Page, policies: &ComparedPolicies) {
    add!(
        page,
        "<p>A is <code>{}</code>, B is <code>{}</code>.",
        Escaped(&policies.a),
        Escaped(&policies.b)
    );
    if policies.differ == 0 {
        add!(page, " No value of theirs differs.</p>\n");
        return;
    }
    add!(page, "</p>\n");
    let row = |Difference { key, a, b }: &Difference| {
        let side = |side: &Option<String>| {
            side.as_deref()
                .map_or(NONE.to_owned(), |text| Escaped(text).to_string())
        };
        vec![Escaped(key).to_string(), side(a), side(b)]
    };
    let rows: Vec<Vec<String>> = policies.first.iter().map(row).collect();
    table(page, "In what the policies differ", &["key", "A", "B"], &rows);
    let n_left = policies.n_left(rows.len());
    if n_left > 0 {
        add!(
            page,
            "<p class=\"soft\">{} further differences are left out.</p>\n",
            whole(n_left)
        );
    }
}

fn services(page: &mut Page, compared: &Compared) {
    let services = &compared.services;
    if services.differ == 0 {
        return;
    }
    add!(
        page,
        "<p>{} of {} services are held for other times{}. Of the {} frozen stretches of A, B shares {}; of the {} of B, A shares {}. A stretch is unbroken, whatever it was frozen for; windows of the policy and people begin none. In those alone {} of the services differ, and {} are held for as long, to a tenth of an hour.</p>\n",
        whole(services.differ - services.only_in_mode),
        whole(services.held),
        in_mode(services.only_in_mode, "for the same times, enforced otherwise"),
        whole(services.freezes_of_a),
        whole(services.freezes_of_a_shared),
        whole(services.freezes_of_b),
        whole(services.freezes_of_b_shared),
        whole(services.differ_only_as_told),
        whole(services.differ_only_in_when)
    );
    let row = |difference: &ServiceDifference| {
        let ServiceDifference {
            service,
            environment,
            a,
            b,
        } = difference;
        vec![
            format!("{} @ {}", Escaped(service.as_str()), Escaped(environment.as_str())),
            format!("{} · {:.1} h", whole(a.freezes), a.freeze_hours),
            format!("{} · {:.1} h", whole(b.freezes), b.freeze_hours),
            format!("{:.1} h", a.extra_review_hours),
            format!("{:.1} h", b.extra_review_hours),
            format!("{:.1} → {:.1} h", a.freeze_hours_enforced, b.freeze_hours_enforced),
        ]
    };
    let seen = services.first.iter().filter(|difference| difference.is_seen());
    let rows: Vec<Vec<String>> = seen.take(ROWS_MAX).map(row).collect();
    let heads = [
        "service",
        "frozen by A",
        "frozen by B",
        "review by A",
        "review by B",
        "frozen, enforced",
    ];
    table(
        page,
        "Services held differently, the greatest difference first",
        &heads,
        &rows,
    );
    let n_named = services.differ - services.differ_only_as_told - services.differ_only_in_when;
    left_out(page, n_named, rows.len(), "services");
}

fn changes(page: &mut Page, compared: &Compared) {
    let changes = &compared.changes;
    if changes.differ == 0 {
        return;
    }
    add!(
        page,
        "<p>{} of {} changes are decided differently when they land: {} only A sends to extra review, {} only B{}.</p>\n",
        whole(changes.differ),
        whole(changes.compared),
        whole(changes.reviewed_only_by_a),
        whole(changes.reviewed_only_by_b),
        in_mode(changes.only_in_mode, "both send there, and only one enforces it")
    );
    let row = |difference: &ChangeDifference| {
        let sha = difference.sha.chars().take(12).collect::<String>();
        vec![
            format!(
                "{} <code>{}</code>",
                Escaped(difference.service.as_str()),
                Escaped(&sha)
            ),
            Escaped(&difference.time.chars().take(16).collect::<String>().replace('T', " ")).to_string(),
            side(&difference.a),
            side(&difference.b),
        ]
    };
    let rows: Vec<Vec<String>> = changes.first.iter().take(ROWS_MAX).map(row).collect();
    add!(
        page,
        "<details><summary>Changes decided differently, in the order in which they landed</summary>"
    );
    table(page, "Changes", &["change", "landed", "A", "B"], &rows);
    left_out(page, changes.differ, rows.len(), "changes");
    add!(page, "</details>\n");
}

/// What shows in no hour and in no review, but in a gate's answers.
fn passes(page: &mut Page, compared: &Compared) {
    let (changes, services) = (&compared.changes, &compared.services);
    if services.differ_in_low_loss + services.differ_in_known_changes + changes.differ_in_low_loss == 0 {
        return;
    }
    add!(
        page,
        "<p>Freezes of {} let changes of low loss by at other times. Changes must be known at other times, or in another \
         mode, of {}. {} decided alike, of low loss under one policy only.</p>\n",
        counted(services.differ_in_low_loss, "service"),
        counted(services.differ_in_known_changes, "service"),
        counted(changes.differ_in_low_loss, "change")
    );
}

fn side(side: &Side) -> String {
    let mut text = words(side.action.name());
    if side.action != crate::model::Action::Proceed {
        let reasons: Vec<String> = side.reasons.iter().map(|code| words(code)).collect();
        text = format!("{text}, {}: {}", side.mode.name(), reasons.join(", "));
    }
    text
}

fn left_out(page: &mut Page, n: u64, n_shown: usize, of_what: &str) {
    let n_left = n.saturating_sub(crate::replay::summary::count(n_shown));
    if n_left > 0 {
        add!(
            page,
            "<p class=\"soft\">{} further {of_what} are left out here; <code>--json</code> names more.</p>\n",
            whole(n_left)
        );
    }
}
