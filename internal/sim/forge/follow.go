package forge

import (
	"context"
	"fmt"
	"strconv"
)

// follow brings pull requests in line with the branches, which git alone
// writes: a new head makes approvals stale, a branch that is gone closes its
// pull request. It is called before and after everything that looks at both,
// so that nothing depends on having seen each push. Callers hold the lock.
func (s *Server) follow(ctx context.Context) error {
	refs, err := s.repo.Refs("refs/heads/")
	if err != nil {
		return err
	}
	changed := false
	for _, p := range s.state.Pulls {
		if !p.Open || p.Issue {
			continue
		}
		head := refs["refs/heads/"+p.Branch]
		if base := refs["refs/heads/"+p.Base]; base != "" && base != p.BaseSHA {
			p.BaseSHA, changed = base, true
		}
		switch head {
		case p.Head:
			continue
		case "":
			p.Open, p.Closed, p.Updated = false, s.now(), s.now()
		default:
			p.Head, p.Updated = head, s.now()
			if err := s.keepHead(ctx, p); err != nil {
				return err
			}
			s.dismissStale(p)
		}
		changed = true
	}
	if !changed {
		return nil
	}
	return s.save()
}

// keepHead publishes the head where GitHub does, so that its commits outlive
// the branch.
func (s *Server) keepHead(ctx context.Context, p *pull) error {
	_, err := s.git.run(ctx, s.gitDir, nil, "update-ref", "refs/pull/"+strconv.Itoa(p.Number)+"/head", p.Head)
	return err
}

// dismissStale makes approvals void that were given to another commit.
func (s *Server) dismissStale(p *pull) {
	if !s.o.Protected.DismissStale {
		return
	}
	for _, r := range p.Reviews {
		if r.State == "APPROVED" && r.Commit != p.Head {
			r.State = "DISMISSED"
		}
	}
}

// recover completes a merge that was announced, and follows branches that were
// pushed without the state having followed.
func (s *Server) recover() error {
	ctx := context.Background()
	if d := s.state.Pending; d != nil {
		p := s.state.pull(d.Number)
		if p == nil {
			return fmt.Errorf("%s announces a merge of pull request %d, which does not exist", s.statePath(), d.Number)
		}
		is, err := s.repo.Ref("refs/heads/" + p.Base)
		if err != nil {
			return err
		}
		if is == d.Base {
			if err := s.repo.SetBranch(p.Base, d.Base, d.Commit); err != nil {
				return err
			}
		}
		if err := s.merged(d); err != nil {
			return err
		}
	}
	return s.follow(ctx)
}

// merged notes an announced merge that reached the branch.
func (s *Server) merged(d *pending) error {
	p := s.state.pull(d.Number)
	p.Open, p.Merged, p.Closed, p.Updated = false, d.At, d.At, d.At
	p.MergedBy, p.Commit, p.BaseSHA = d.By, d.Commit, d.Base
	s.state.Pending = nil
	return s.save()
}
