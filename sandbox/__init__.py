"""A Slack workspace on one machine: a stand-in as strict as Slack, reached only over HTTP.

It is a program of its own. It imports nothing of the bot, and the bot imports nothing of it.
Facts about Slack come from Slack's reference pages (docs.slack.dev), named where they are used.
"""
