//! Which kinds of change pass what.

use super::{
    ALIVE, CLOSED, DEAD, FROZEN, GO, OPEN, REVIEW, WOULD_GO, because, check, closed, exempting, of_kind, on_change,
    on_service, release, shadow, view,
};
use crate::model::{
    Action::{ExtraReview, Freeze},
    ChangeKind::{Hotfix, Release, Rollback, Security},
    Exemption,
};

#[test]
fn a_rollback_security_and_a_tied_hotfix_pass_the_service() {
    let (freeze, review) = (|| on_service(Freeze), || on_service(ExtraReview));
    let incident = || because(freeze(), "incident", Some("INC-1"));
    let tied = Some("INC-1");
    let cases = [
        ("release", Release, None, freeze(), FROZEN),
        ("release, with an incident", Release, tied, freeze(), FROZEN),
        ("rollback", Rollback, None, freeze(), GO),
        ("security", Security, None, freeze(), GO),
        ("hotfix alone", Hotfix, None, freeze(), FROZEN),
        ("hotfix, blank incident", Hotfix, Some(" "), freeze(), FROZEN),
        ("hotfix, no incident open", Hotfix, tied, freeze(), FROZEN),
        ("hotfix, the incident", Hotfix, tied, incident(), GO),
        ("hotfix, another", Hotfix, Some("INC-2"), incident(), FROZEN),
        ("rollback, review", Rollback, None, review(), GO),
        ("security, review", Security, None, review(), GO),
        ("hotfix, review, no incident open", Hotfix, tied, review(), REVIEW),
        ("hotfix alone, review", Hotfix, None, review(), REVIEW),
        ("rollback, shadow", Rollback, None, shadow(freeze()), WOULD_GO),
    ];
    for (case, kind, incident, decision, expected) in cases {
        let request = of_kind(kind, incident, release(&[]));
        check(case, &view(vec![decision], DEAD, &[]), &request, expected);
    }
}

/// A change's extra review is about what is shipped: an urgent change is shipped too, a rollback ships nothing new.
#[test]
fn only_a_rollback_passes_the_extra_review_of_a_change() {
    let change = || on_change("b", ExtraReview);
    let exempt = || exempting(change(), Exemption::Hotfix);
    let cases = [
        ("a rollback", Rollback, change(), GO),
        ("security", Security, change(), REVIEW),
        ("a hotfix", Hotfix, change(), REVIEW),
        ("a hotfix that the decision exempts", Hotfix, exempt(), GO),
        ("security where hotfixes are exempt", Security, exempt(), REVIEW),
    ];
    for (case, kind, change, expected) in cases {
        let request = of_kind(kind, Some("INC-1"), release(&["b"]));
        check(
            case,
            &view(
                vec![because(on_service(Freeze), "incident", Some("INC-1")), change],
                ALIVE,
                &[],
            ),
            &request,
            expected,
        );
    }
}

/// Who asks to fail closed is stopped by not knowing, whatever is shipped.
#[test]
fn no_kind_passes_what_is_not_known() {
    for kind in [Rollback, Security, Hotfix, Release] {
        let request = of_kind(kind, Some("INC-1"), release(&[]));
        check("open", &view(vec![], DEAD, &[]), &request, OPEN);
        check("closed", &view(vec![], DEAD, &[]), &closed(request), CLOSED);
    }
}
