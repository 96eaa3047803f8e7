//! Mattermost's REST API, strictly: what a post may have, how long it is, and that nobody is called by it.

use serde_json::{Value, json};

use super::{Asked, Reply, Said, Strict, System, unknown_caller};

pub(in super::super) const TOKEN: &str = "s3cret0fmattermost";
const CHANNELS: [&str; 2] = ["4xp9fdt7pbgium38k0k6w95oa4", "9b7iu9y5jffejgqhuix8fxzuyc"];

#[derive(Default)]
pub(in super::super) struct Mattermost {
    /// Posts, with their ids.
    pub(in super::super) posts: Vec<Value>,
}

fn refusal(status: u16, id: &str) -> Reply {
    Reply::of(status, &json!({"id": id, "message": id, "status_code": status}))
}

impl Mattermost {
    pub(in super::super) fn start() -> Strict<Mattermost> {
        Strict::start(Mattermost::default())
    }

    fn check(post: &serde_json::Map<String, Value>) -> Result<(), Reply> {
        let text = post.get("message").and_then(Value::as_str).unwrap_or_default();
        let props = post.get("props").cloned().unwrap_or_default();
        if text.chars().count() > 16_383 || props.to_string().chars().count() > 800_000 {
            return Err(refusal(400, "model.post.is_valid.msg.app_error"));
        }
        if text.is_empty() && props["attachments"].as_array().is_none_or(Vec::is_empty) {
            return Err(refusal(400, "a post without anything"));
        }
        let whole = Value::Object(post.clone()).to_string();
        if ["@all", "@channel", "@here", "<!channel>"].iter().any(|calls| whole.contains(calls)) {
            return Err(refusal(400, "it calls people"));
        }
        Ok(())
    }

    fn create(&mut self, asked: &Asked) -> Said {
        let known = ["channel_id", "root_id", "message", "props"];
        let mut post = asked.object(&known).map_err(|reason| refusal(400, &reason))?;
        Mattermost::check(&post)?;
        let of = |name: &str| post.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        if !CHANNELS.contains(&of("channel_id").as_str()) {
            return Err(refusal(403, "You do not have the appropriate permissions."));
        }
        let root = of("root_id");
        if !root.is_empty() && !self.posts.iter().any(|post| post["id"] == root && post["root_id"].is_null()) {
            return Err(refusal(400, "api.post.create_post.root_id.app_error"));
        }
        post.insert("id".to_owned(), format!("{:026}", self.posts.len() + 1).into());
        post.insert("create_at".to_owned(), jiff::Timestamp::now().as_millisecond().into());
        self.posts.push(Value::Object(post.clone()));
        Ok(Reply::of(201, &Value::Object(post)))
    }

    fn patch(&mut self, id: &str, asked: &Asked) -> Said {
        let patch = asked.object(&["message", "props"]).map_err(|reason| refusal(400, &reason))?;
        Mattermost::check(&patch)?;
        let post = self.posts.iter_mut().find(|post| post["id"] == id);
        let post = post.and_then(Value::as_object_mut).ok_or_else(|| refusal(404, "no such post"))?;
        post.extend(patch);
        Ok(Reply::ok(&Value::Object(post.clone())))
    }
}

impl System for Mattermost {
    fn answer(&mut self, asked: &Asked) -> Said {
        if asked.header("authorization") != format!("Bearer {TOKEN}") {
            return Err(unknown_caller());
        }
        let path: Vec<&str> = asked.path.strip_prefix("/api/v4/").unwrap_or_default().split('/').collect();
        match (asked.method.as_str(), path.as_slice()) {
            ("GET", ["users", "me"]) => Ok(Reply::ok(&json!({"username": "bellwether"}))),
            ("GET", ["channels", channel]) if CHANNELS.contains(channel) => Ok(Reply::ok(&json!({"id": channel}))),
            ("GET", ["channels", channel, "posts"]) if CHANNELS.contains(channel) => {
                let since: i64 = asked.parameter("since").parse().map_err(|_| refusal(400, "since"))?;
                let of = self.posts.iter().filter(|post| post["channel_id"] == *channel);
                let of = of.filter(|post| post["create_at"].as_i64().is_some_and(|at| at >= since));
                let posts: serde_json::Map<String, Value> =
                    of.map(|post| (post["id"].as_str().expect("an id").to_owned(), post.clone())).collect();
                Ok(Reply::ok(&json!({"order": posts.keys().collect::<Vec<_>>(), "posts": posts})))
            }
            ("POST", ["posts"]) => self.create(asked),
            ("PUT", ["posts", id, "patch"]) => self.patch(id, asked),
            _ => Err(refusal(404, "no such place")),
        }
    }
}
