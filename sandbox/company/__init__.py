"""A firm that lives in the sandbox: its people, their work in the CRM, what they make of messages, and the hidden truth."""
