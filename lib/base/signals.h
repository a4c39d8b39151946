/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H
/*
 * Signals that wait: in this thread, and in the threads that it starts meanwhile.  All threads but the first are started
 * so, hence the first one alone handles signals.
 */
#include <signal.h>

/* Until signals_release() of what *old gets. */
void signals_hold(sigset_t *old);
void signals_release(const sigset_t *old);

#endif
