//! A policy file that changes while the program runs.

use serde_json::json;

use crate::{
    reproduction,
    support::{Instance, Site, brokers, eventually, now},
};

#[test]
fn a_changed_policy_is_taken_up_and_a_bad_one_kept_out() {
    let Some(brokers) = brokers() else { return };
    let site = Site::new(brokers, "policy", &[], "mode = \"shadow\"\n");
    let instance = Instance::start(&site, "a");
    instance.wait_ready();
    let at = now();
    let incident = json!({"kind": "incident", "id": "i", "time": at.to_string(), "service": "checkout", "incident_id": "INC-1",
        "status": "detected", "severity": 1});
    site.send(&[("incidents", 0, at, serde_json::to_vec(&incident).expect("JSON"))]);
    let text = eventually("frozen in shadow", || {
        let (status, text) = site.gate("checkout", &["--json"]);
        (status == 0 && text.contains("\"verdict\":\"freeze\"")).then_some(text)
    });
    assert!(text.contains("\"enforced\":false"), "{text}");

    site.set_policy("mode = \"enforce\"\n");
    eventually("the freeze is enforced", || {
        (site.gate("checkout", &[]).0 == 20).then_some(())
    });
    assert!(instance.metrics().contains("holdpoint_policy_last_reload_successful 1"));

    site.set_policy("mode = \"enforced\"\n[frezze]\n");
    eventually("the metric says so", || {
        instance
            .metrics()
            .contains("holdpoint_policy_last_reload_successful 0")
            .then_some(())
    });
    assert_eq!(site.gate("checkout", &[]).0, 20, "the good policy stays");
    let checked = site
        .command(&["policy", "check"])
        .arg(site.policy_path())
        .output()
        .expect("policy check runs");
    let faults = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(1));
    assert!(
        faults.contains(":1:") && faults.contains(":2:"),
        "both at once, with their lines: {faults}"
    );
    assert_eq!(instance.terminate(), 0);
    reproduction::check(&site);
}
