//! The rules: by which marks an agent or a bot is known. One table, of which each line is a claim that can be checked
//! against what the tool writes.
//!
//! Display names drift and are anybody's to choose, so people are told from agents by address: a full one, or the
//! number of an account at GitHub, which stays when the account is renamed.

use crate::model::Confidence::{self, High, Medium};

/// An agent whose name is not told.
pub(in crate::import) const UNNAMED: &str = "unknown";

/// How an address is recognized.
#[derive(Debug, Clone, Copy)]
pub(in crate::import) enum Address {
    /// In lower case.
    Is(&'static str),
    /// `<number>+<any name>@users.noreply.github.com`.
    GithubId(u64),
}

/// Addresses of agents, as authors and in trailers that name people.
pub(in crate::import) const AGENTS: [(Address, &str, Confidence); 22] = [
    (Address::Is("noreply@anthropic.com"), "claude-code", High),
    (Address::GithubId(209_825_114), "claude-code", High),
    (Address::Is("cursoragent@cursor.com"), "cursor", High),
    // The coding agent, the command line, and the reviewer whose suggestions are committed.
    (Address::GithubId(198_982_749), "copilot", High),
    (Address::GithubId(223_556_219), "copilot", High),
    (Address::GithubId(175_728_472), "copilot", High),
    // An editor's setting that for some weeks was on for everybody, whatever they had used.
    (Address::Is("copilot@github.com"), "copilot", Medium),
    (Address::Is("codex@openai.com"), "codex", High),
    (Address::Is("noreply@openai.com"), "codex", High),
    (Address::Is("qwen-coder@alibabacloud.com"), "qwen-code", High),
    (Address::GithubId(199_175_422), "codex", High),
    (Address::Is("amp@ampcode.com"), "amp", High),
    (Address::Is("oz-agent@warp.dev"), "warp-oz", High),
    (Address::Is("agent@warp.dev"), "warp-oz", High),
    (Address::GithubId(176_961_590), "gemini-code-assist", High),
    (Address::GithubId(161_369_871), "jules", High),
    (Address::GithubId(158_243_242), "devin", High),
    (Address::Is("openhands@all-hands.dev"), "openhands", High),
    (Address::Is("aider@aider.chat"), "aider", High),
    (Address::Is("noreply@aider.chat"), "aider", High),
    (Address::Is("noreply@opencode.ai"), "opencode", High),
    (Address::Is("crush@charm.land"), "crush", High),
];

/// Addresses of bots that are no AI. Any account of an application, `<number>+<name>[bot]@users.noreply.github.com`, is
/// one as well.
pub(in crate::import) const BOTS: [Address; 7] = [
    Address::GithubId(49_699_333),
    Address::GithubId(29_139_614),
    Address::GithubId(41_898_282),
    Address::Is("bot@renovateapp.com"),
    Address::Is("renovate@whitesourcesoftware.com"),
    Address::Is("support@dependabot.com"),
    Address::Is("support@greenkeeper.io"),
];

/// What the value of a trailer says.
#[derive(Debug, Clone, Copy)]
pub(in crate::import) enum Value {
    /// A person or an agent, by address.
    Somebody,
    /// A tool in words, unless it is a person with an address.
    Tool,
    /// That AI took part, or not: true, yes; false, no, none.
    Flag,
    /// Whatever it is, only this agent writes it.
    Any(&'static str),
}

/// Trailers, their keys in lower case.
pub(in crate::import) const TRAILERS: [(&str, Value); 16] = [
    ("co-authored-by", Value::Somebody),
    ("co-developed-by", Value::Somebody),
    ("assisted-by", Value::Tool),
    ("ai-assisted-by", Value::Tool),
    ("generated-by", Value::Tool),
    ("generated-with", Value::Tool),
    ("made-with", Value::Tool),
    ("ai-tool", Value::Tool),
    ("ai-assisted", Value::Flag),
    ("ai-assistance", Value::Flag),
    ("ai-generated", Value::Flag),
    ("claude-session", Value::Any("claude-code")),
    ("amp-thread-id", Value::Any("amp")),
    ("codex-session", Value::Any("codex")),
    ("entire-checkpoint", Value::Any(UNNAMED)),
    ("entire-session", Value::Any(UNNAMED)),
];

/// Tools as trailers name them: the word, in lower case, with which the value begins; the agent; and whether the word
/// is a person's name as well, which then needs more to be taken for a tool.
pub(in crate::import) const TOOLS: [(&str, &str, bool); 24] = [
    ("llm", UNNAMED, false),
    ("ai", UNNAMED, false),
    ("genai", UNNAMED, false),
    ("chatgpt", "chatgpt", false),
    ("gpt", "chatgpt", false),
    ("openai", "chatgpt", false),
    ("claude", "claude-code", true),
    ("copilot", "copilot", false),
    ("github copilot", "copilot", false),
    ("cursor", "cursor", false),
    ("codex", "codex", false),
    ("gemini", "gemini-code-assist", true),
    ("jules", "jules", true),
    ("devin", "devin", true),
    ("amp", "amp", false),
    ("aider", "aider", false),
    ("opencode", "opencode", false),
    ("openhands", "openhands", false),
    ("windsurf", "windsurf", false),
    ("deepseek", UNNAMED, false),
    ("qwen", UNNAMED, false),
    ("llama", UNNAMED, false),
    ("mistral", UNNAMED, false),
    ("grok", UNNAMED, false),
];

/// The words that may follow such a name where it is a tool's.
pub(in crate::import) const TOOL_SECOND_WORDS: [&str; 17] = [
    "code",
    "coder",
    "chat",
    "assistant",
    "max",
    "mini",
    "opus",
    "sonnet",
    "haiku",
    "cli",
    "ai",
    "agent",
    "pro",
    "flash",
    "ultra",
    "code-assist",
    "desktop",
];

/// Lines that tools leave in a message, in lower case, without what stands before the first letter.
pub(in crate::import) const MARKERS: [(&str, &str, Confidence); 9] = [
    ("generated with [claude code](", "claude-code", High),
    ("generated with claude code", "claude-code", High),
    ("generated with [cursor](", "cursor", High),
    ("generated with [codex](", "codex", High),
    ("generated with [opencode](", "opencode", High),
    ("generated with [amp](", "amp", High),
    ("generated with [gemini cli](", "gemini-code-assist", High),
    ("generated with crush", "crush", High),
    ("generated with [devin](", "devin", High),
];

/// Beginnings of subjects, in lower case.
pub(in crate::import) const SUBJECTS: [(&str, &str, Confidence); 1] = [("aider: ", "aider", Medium)];

/// Ends of an author's name by which a tool says that it wrote for that author, in lower case. On a committer's name
/// alone it says that the tool saved what a person wrote.
pub(in crate::import) const AUTHOR_SUFFIXES: [(&str, &str); 1] = [(" (aider)", "aider")];
