"""Mails: stored in the transaction of what they are about, sent by a job."""
