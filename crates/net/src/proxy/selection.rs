//! Which of the requests that pass are recorded. The twin of `lib/match.js`, which says why the paths are these; here the
//! host is known.

use crate::upstream::Upstream;

/// Which requests are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All.
    All,
    /// Calls of a model by their path: Messages, Bedrock, Vertex.
    ModelCalls,
}

impl Selection {
    /// Whether a request for `path` (without its query) of `upstream` is recorded.
    pub fn takes(self, upstream: &Upstream, path: &str) -> bool {
        self == Self::All || is_model_call(path) || upstream.under(path).is_some_and(is_messages)
    }
}

/// `/messages` and what lies under it: the AI SDK takes the version to be a part of the base URL.
pub fn is_messages(path: &str) -> bool {
    path.strip_prefix("/messages").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A path of Messages, Bedrock or Vertex.
pub fn is_model_call(path: &str) -> bool {
    path.match_indices("/v1/messages").any(|(at, _)| is_messages(&path[at + "/v1".len()..]))
        || is_bedrock(path)
        || is_vertex(path)
}

fn is_bedrock(path: &str) -> bool {
    let Some((before, action)) = path.rsplit_once('/') else { return false };
    let Some((before, model)) = before.rsplit_once('/') else { return false };
    before.ends_with("/model")
        && !model.is_empty()
        && matches!(
            action,
            "invoke"
                | "invoke-with-response-stream"
                | "invoke-with-bidirectional-stream"
                | "converse"
                | "converse-stream"
                | "count-tokens"
        )
}

fn is_vertex(path: &str) -> bool {
    let action = path.rsplit_once(':').map_or("", |(_, action)| action);
    matches!(
        action,
        "rawPredict" | "streamRawPredict" | "generateContent" | "streamGenerateContent" | "countTokens"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_calls_are_found_by_whole_segments() {
        let upstream: Upstream = "https://a.b/llm".parse().unwrap();
        let takes = |path| Selection::ModelCalls.takes(&upstream, path);
        for path in [
            "/v1/messages",
            "/v1/messages/count_tokens",
            "/llm/v1/messages/batches",
            "/x/v1/messages",
            "/llm/messages",
            "/model/anthropic.claude:0/invoke-with-response-stream",
            "/v1/projects/p/locations/l/publishers/anthropic/models/m:streamRawPredict",
        ] {
            assert!(takes(path), "{path}");
            assert!(Selection::All.takes(&upstream, path));
        }
        for path in [
            "/",
            "/v1/models",
            "/v1/messagesx",
            "/messages",
            "/llmx/messages",
            "/model/x/other",
            "/model//invoke",
            "/models/m:predict",
            "/api/v11/messages",
        ] {
            assert!(!takes(path), "{path}");
        }
    }
}
