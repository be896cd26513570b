//! How deep a text nests, told from its bytes before a recursive parser sees it.

use super::PolicyLimits;
use super::compile::Source;
use super::error::PolicyError;

/// Refuses brackets deeper, or statements with more operators, than the limits say: both become levels of Cedar's syntax tree.
pub(super) fn check(source: Source<'_>, limits: &PolicyLimits) -> Result<(), PolicyError> {
    let (mut depth, mut operators) = (0_usize, 0_usize);
    for (offset, token) in tokens(source.text) {
        match token {
            Token::Open => depth = depth.saturating_add(1),
            Token::Close => depth = depth.saturating_sub(1),
            Token::Operator => operators = operators.saturating_add(1),
            Token::End => operators = 0,
        }
        for (found, limit) in [(depth, limits.nesting), (operators, limits.operators)] {
            if found > limit {
                return Err(PolicyError::TooDeep { origin: source.at(offset), limit });
            }
        }
    }
    Ok(())
}

enum Token {
    Open,
    Close,
    Operator,
    End,
}

/// What matters here of a text, outside strings and comments.
fn tokens(text: &str) -> impl Iterator<Item = (usize, Token)> + '_ {
    #[derive(PartialEq)]
    enum Within {
        Code,
        Text,
        Escape,
        Comment,
    }
    let (mut within, mut before) = (Within::Code, b' ');
    text.bytes().enumerate().filter_map(move |(offset, byte)| {
        let previous = std::mem::replace(&mut before, byte);
        within = match (&within, byte) {
            (Within::Text, b'\\') => Within::Escape,
            (Within::Text, b'"') | (Within::Comment, b'\n') => Within::Code,
            (Within::Text | Within::Escape, _) => Within::Text,
            (Within::Comment, _) => Within::Comment,
            (Within::Code, b'"') => Within::Text,
            (Within::Code, b'/') if previous == b'/' => Within::Comment,
            (Within::Code, _) => Within::Code,
        };
        let word = |name: &str| !previous.is_ascii_alphanumeric() && text.get(offset..).is_some_and(|rest| rest.starts_with(name));
        let token = match byte {
            _ if within != Within::Code => return None,
            b'(' | b'[' | b'{' => Token::Open,
            b')' | b']' | b'}' => Token::Close,
            b';' => Token::End,
            b'&' | b'|' | b'+' | b'-' | b'*' | b'!' | b'.' => Token::Operator,
            b'i' if word("if") => Token::Operator,
            _ => return None,
        };
        Some((offset, token))
    })
}
