package setting_test

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/setting"
)

func TestRunnable(t *testing.T) {
	for script, want := range map[string]string{
		"#!/bin/sh\nexit 0\n": "",
		"#!/bin/sh":           "",
		"#!/usr/bin/env zsh\n" + strings.Repeat("ä", 15340): "",
		"#!/usr/bin/env zsh\n" + strings.Repeat("ä", 15341): "15,360 characters",
		"#!/bin/sh\r\nexit 0\r\n":                           "as on Windows",
		"exit 0\n":                                          "must begin with",
		"#!sh\n":                                            "must begin with",
		"":                                                  "must begin with",
		"#!/bin/sh\n\xff\n":                                 "not UTF-8",
	} {
		err := setting.Runnable("files/a.sh", []byte(script))
		if want == "" && err != nil || want != "" && (err == nil || fleet.KindOf(err) != fleet.Invalid || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.40q: %v, want %q", script, err, want)
		}
	}
}
