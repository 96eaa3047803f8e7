//! A workflow of Teams, strictly: signed, a message with one Adaptive Card of known elements, 28 KB at most.

use serde_json::{Value, json};

use super::{Asked, Reply, Said, Strict, System};

pub(in super::super) const SIGNATURE: &str =
    "api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=s3cret0fteams";

#[derive(Default)]
pub(in super::super) struct Teams {
    pub(in super::super) cards: Vec<Value>,
}

fn refusal(status: u16, message: &str) -> Reply {
    Reply::of(status, &json!({"error": {"code": "WorkflowTriggerRefused", "message": message}}))
}

fn element(element: &Value) -> Result<(), Reply> {
    let inlines = element["inlines"].as_array().filter(|all| !all.is_empty() && element["type"] == "RichTextBlock");
    let run = |run: &Value| run["type"] == "TextRun" && run["text"].as_str().is_some_and(|text| !text.is_empty());
    match inlines.is_some_and(|all| all.iter().all(run)) {
        true => Ok(()),
        false => Err(refusal(400, &format!("no element: {element}"))),
    }
}

impl Teams {
    pub(in super::super) fn start() -> Strict<Teams> {
        Strict::start(Teams::default())
    }
}

impl System for Teams {
    fn answer(&mut self, asked: &Asked) -> Said {
        if asked.parameter("sig") != "s3cret0fteams" || asked.parameter("sp") != "/triggers/manual/run" {
            return Err(refusal(401, "the request has no valid signature"));
        }
        if asked.method != "POST" || asked.path != "/workflows/0a1b/triggers/manual/paths/invoke" {
            return Err(refusal(404, "no such workflow"));
        }
        if asked.body.len() > 28 << 10 {
            return Err(refusal(413, "the message is too large"));
        }
        let message = asked.object(&["type", "attachments"]).map_err(|reason| refusal(400, &reason))?;
        let attachment = &message["attachments"][0];
        let card = &attachment["content"];
        let right = message["type"] == "message"
            && attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
            && card["type"] == "AdaptiveCard"
            && card["version"] == "1.4";
        if !right {
            return Err(refusal(400, "no Adaptive Card"));
        }
        card["body"].as_array().into_iter().flatten().try_for_each(element)?;
        self.cards.push(card.clone());
        Ok(Reply::done(202))
    }
}
