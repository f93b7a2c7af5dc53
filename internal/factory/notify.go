package factory

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/rules/rollout"
	"github.com/packmill/packmill/internal/view/notice"
)

// Announce tells every partner whose tenants a cycle's last wave reaches what
// comes and when, once for each of the partner's channels, and returns how many
// messages this call sent.
//
// Evidence has an intent before a message and a receipt after it. A message
// whose receipt is there is never sent again; one that has an intent alone may
// have been sent by a run that died, so it goes out again under the same
// Message-ID, marked possibly twice. What cannot be sent does not keep the
// others back; the errors are returned together.
func (f *Factory) Announce(ctx context.Context, facts rollout.Facts, id fleet.CycleID) (int, error) {
	reached, err := rollout.Reached(facts, id, f.Clock.Now())
	if err != nil {
		return 0, err
	}
	sent := 0
	var failed []error
	for _, partner := range slices.Sorted(maps.Keys(reached)) {
		p, ok := facts.Repo.Partners[partner]
		if !ok {
			continue // a direct customer without a partner file has no channel
		}
		for _, name := range slices.Sorted(maps.Keys(p.Channels)) {
			did, err := f.tell(ctx, facts, id, partner, name, reached[partner])
			if ctx.Err() != nil {
				return sent, ctx.Err()
			}
			if err != nil {
				failed = append(failed, err)
			}
			if did {
				sent++
			}
		}
	}
	return sent, errors.Join(failed...)
}

// tell sends one message, unless it was sent.
func (f *Factory) tell(ctx context.Context, facts rollout.Facts, id fleet.CycleID, partner, channel string, rows []fleet.PlanRow) (bool, error) {
	key := rollout.NoticeKey(id, partner, channel, rollout.Announcement)
	before := slices.DeleteFunc(slices.Clone(facts.Record.Notices), func(n fleet.Notice) bool { return n.Key != key })
	if slices.ContainsFunc(before, func(n fleet.Notice) bool { return n.Sent }) {
		return false, nil
	}
	to := facts.Repo.Partners[partner].Channels[channel]
	place := "tenants/" + partner + "/partner.cue: channel " + channel
	box, ok := f.Outbox[to.Kind]
	if !ok {
		return false, &fleet.Error{Op: "factory.announce", Object: place, Kind: fleet.Invalid, Err: errors.New("there is no outbox for " + to.Kind),
			Hint: "set one up for this run, or take the channel out"}
	}
	m, err := f.render(facts, id, partner, to, rows)
	if err != nil {
		return false, err
	}
	m.ID, m.To = key+"@"+f.mailDomain(), []string{to.To}
	n := fleet.Notice{Key: key, Cycle: id, Partner: partner, Channel: channel, Template: rollout.Announcement, MessageID: m.ID, At: f.Clock.Now()}
	if len(before) > 0 {
		// The same message, whatever this machine would call it today.
		n.PossiblyTwice, n.MessageID, m.ID = true, before[0].MessageID, before[0].MessageID
	} else if err := f.Ledger.Append(ctx, evidence.Control, evidence.NoticesDir(id), []fleet.Notice{n}); err != nil {
		return false, err
	}
	if err := box.Deliver(ctx, m); err != nil {
		return false, &fleet.Error{Op: "factory.announce", Object: place, Kind: fleet.KindOf(err), Err: err, Hint: hintOf(err)}
	}
	n.Sent, n.At = true, f.Clock.Now()
	return true, f.Ledger.Append(ctx, evidence.Control, evidence.NoticesDir(id), []fleet.Notice{n})
}

func hintOf(err error) string {
	var e *fleet.Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

// mailDomain is the right side of message ids: that of packmill's own address.
func (f *Factory) mailDomain() string {
	_, domain, _ := strings.Cut(f.Author.Email, "@")
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,100}$`).MatchString(domain) {
		return "packmill.invalid"
	}
	return domain
}

// render makes the message by the partner's template in its language, or by
// the one that packmill brings.
func (f *Factory) render(facts rollout.Facts, id fleet.CycleID, partner string, to fleet.Channel, rows []fleet.PlanRow) (fleet.Message, error) {
	p := facts.Repo.Partners[partner]
	for _, lang := range notice.Languages(p.Language) {
		file, text, err := f.template(facts, partner, p, lang)
		if err != nil {
			return fleet.Message{}, err
		}
		if text == "" {
			continue
		}
		a, err := announcementOf(facts.Repo, id, p, lang, to.Visibility == "shared", rows)
		if err != nil {
			return fleet.Message{}, err
		}
		return notice.Render(a, file, text)
	}
	return fleet.Message{}, fleet.Errorf(fleet.Internal, "factory.announce", partner, "packmill brings no template in English")
}

// template is the announcement's text in exactly one language and the file it
// stands in, "" when there is none.
func (f *Factory) template(facts rollout.Facts, partner string, p fleet.Partner, lang string) (file, text string, err error) {
	if p.Texts != "" {
		file = "tenants/" + partner + "/" + strings.Trim(p.Texts, "/") + "/" + notice.FileName(lang)
		tree, err := f.Git.Tree(facts.Repo.Commit)
		if err != nil {
			return "", "", err
		}
		if has, err := tree.Has(file); err != nil || has {
			if err != nil {
				return "", "", err
			}
			data, err := tree.Read(file)
			return file, string(data), err
		}
	}
	text, _ = notice.Shipped(lang)
	return "packmill's own " + notice.FileName(lang), text, nil
}
