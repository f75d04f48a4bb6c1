"""Password rules, one Django validator each; `config.passwords` says which of them a policy has."""
