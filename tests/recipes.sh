#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Runs the recipes of doc/recipes.md and the commands in the picture of a terminal as readme.sh runs those of
# README.md; --write: see there.
DOC="doc/recipes.md doc/pictures/terminal.md" exec sh "${abs_top_srcdir:-$(dirname "$0")/..}/tests/readme.sh" "$@"
