//! A command that tries what is refused without pause: the log stays small and says how often it
//! was.

use std::fs;

use serde_json::{Value as Json, json};

use super::serve::{Tries, WALLS, before};

const CONNECTIONS: usize = 5000;
const NAMES: usize = 2000;

/// Refusals of one reason that are told one by one in a minute.
const SINGLE: usize = 100;

// REQ: L-1, E-2, E-3
#[tokio::test]
async fn refusals_without_number_are_told_in_sum() {
    for level in WALLS {
        let mut palisade = before(level, "", "");
        let mut tries = Tries::of(&palisade).await;
        let (reached, connecting) = tries.go("flood", &json!(CONNECTIONS)).await;
        assert_eq!(reached, Ok(json!(0)), "{level}");
        let (found, asking) = tries.go("flood_names", &json!(NAMES)).await;
        assert_eq!(found, Ok(json!(0)), "{level}");
        drop(tries);
        palisade.stop();
        let records = palisade.audit();
        for (reason, made, call) in [
            ("egress.address.private", CONNECTIONS, &connecting),
            ("egress.host.local", NAMES, &asking),
        ] {
            let of_reason = |record: &&Json| record["reason"] == reason;
            let (sums, single): (Vec<&Json>, Vec<&Json>) = records
                .iter()
                .filter(of_reason)
                .partition(|record| record["count"].is_u64());
            let counted: u64 = sums.iter().filter_map(|sum| sum["count"].as_u64()).sum();
            assert_eq!(
                single.len() + usize::try_from(counted).unwrap(),
                made,
                "{level} {reason}"
            );
            // On a slow machine it may have taken longer than a minute.
            assert!(
                !sums.is_empty() && single.len() <= SINGLE * (sums.len() + 1),
                "{level} {reason}: {} {sums:?}",
                single.len()
            );
            for sum in &sums {
                assert_eq!(
                    (
                        &sum["server"],
                        &sum["tool"],
                        &sum["requestId"],
                        &sum["outcome"]
                    ),
                    (&json!("test"), &json!("do"), &json!(call), &json!("denied")),
                    "{sum}"
                );
                let egress = &sum["egress"];
                assert_eq!(
                    (&egress["decision"], &egress["level"], &egress["form"]),
                    (&json!(reason), &json!(level), &Json::Null),
                );
                let destinations = egress["destinations"].as_u64().unwrap();
                let most = sum["count"].as_u64().unwrap().min(1024);
                assert_eq!(destinations, most, "each went elsewhere: {sum}");
                let moment = |name: &str| egress[name].as_str().unwrap().to_owned();
                assert!(moment("first") <= moment("last"), "{sum}");
            }
        }
        let size = fs::metadata(palisade.path("audit.ndjson")).unwrap().len();
        assert!(size < 500_000, "{level}: {size} bytes");
    }
}
