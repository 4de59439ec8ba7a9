"""Mails: written down with what they are about, sent by a job."""
