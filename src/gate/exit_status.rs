//! What `holdpoint gate` exits with.

/// The contract's exit statuses: pipelines branch on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    Proceed,
    ExtraReview,
    Frozen,
    /// Not known, and asked to fail closed.
    FailingClosed,
    /// Wrong usage of the command; no verdict has it.
    Usage,
}

impl ExitStatus {
    pub const ALL: [Self; 5] = [
        Self::Proceed,
        Self::ExtraReview,
        Self::Frozen,
        Self::FailingClosed,
        Self::Usage,
    ];

    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Proceed => 0,
            Self::ExtraReview => 10,
            Self::Frozen => 20,
            Self::FailingClosed => 30,
            Self::Usage => 2,
        }
    }

    /// The status with this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }
}

impl From<ExitStatus> for std::process::ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_contracts_and_read_back() {
        assert_eq!(ExitStatus::ALL.map(ExitStatus::code), [0, 10, 20, 30, 2]);
        assert_eq!(
            ExitStatus::ALL.map(|status| ExitStatus::from_code(status.code())),
            ExitStatus::ALL.map(Some)
        );
        assert_eq!(ExitStatus::from_code(1), None);
    }
}
