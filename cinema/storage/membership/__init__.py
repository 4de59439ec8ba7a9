"""Views of the cluster, in Postgres and in memory."""
