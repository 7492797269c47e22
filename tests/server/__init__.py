"""Tests of crossfade.server: real servers, really killed."""
