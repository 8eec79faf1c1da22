package main

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"

	"example.com/journal/services/namespace-controller/api"
)

func TestTheClaimsOfATenantShareEachAmount(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*size)
		says   string
	}{
		"storage":  {func(s *size) { s.Storage = resource.MustParse("6Gi") }, "the storage of tenant team-a would be 12Gi with this claim, and the limit is 10Gi"},
		"pods":     {func(s *size) { s.Pods = 6 }, "the pods of tenant team-a would be 12 with this claim, and the limit is 10"},
		"services": {func(s *size) { s.Services = 6 }, "the services of tenant team-a would be 12 with this claim, and the limit is 10"},
		"volumes":  {func(s *size) { s.VolumeClaims = 6 }, "the volume claims of tenant team-a would be 12 with this claim, and the limit is 10"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSituation()
			s.limits.DefaultShare.Storage = resource.MustParse("10Gi")
			s.limits.DefaultShare.Pods, s.limits.DefaultShare.Services, s.limits.DefaultShare.VolumeClaims = 10, 10, 10
			test.change(&s.classes["small"].size)
			if p := decide(s); p.action != admit {
				t.Fatalf("the first claim: %s %s", p.action, p.status.Message)
			}
			held(holder{"team-a/a", "bob", "small", "team-a"})(&s)
			if p := decide(s); p.action != wait || p.status.Phase != api.Refused || !strings.Contains(p.status.Message, test.says) {
				t.Errorf("the second claim: %s %s", p.action, p.status.Message)
			}
			// Another tenant's claims are none of its own.
			s.holders[0].tenant = "team-b"
			if p := decide(s); p.action != admit {
				t.Errorf("beside a claim of another tenant: %s %s", p.action, p.status.Message)
			}
		})
	}
}

func TestAddingUpLeavesTheSettingsAsTheyAre(t *testing.T) {
	t.Parallel()
	s := newSituation(held(holder{"team-a/a", "bob", "small", "team-a"}))
	decide(s)
	if got := s.classes["small"].size.CPU.String(); got != "2" {
		t.Errorf("the class has %s CPUs after a decision", got)
	}
}

func TestATenantClaimsTheClassesOfItsShareAlone(t *testing.T) {
	t.Parallel()
	s := newSituation(func(s *situation) {
		s.claim.Spec.Class, s.limits.DefaultShare.Classes = "large", []string{"medium", "small"}
	})
	if p := decide(s); p.action != wait || p.status.Message != `spec.class "large": tenant team-a may not claim it; delete the claim and apply one of class medium or small` {
		t.Errorf("%s %s", p.action, p.status.Message)
	}
	s.limits.DefaultShare.Classes = nil
	if p := decide(s); p.action != wait || !strings.Contains(p.status.Message, `tenant "team-a": may claim no class`) {
		t.Errorf("%s %s", p.action, p.status.Message)
	}
}

func TestOneOfATenantAndOneOfAnOwnerIsCountedAtATime(t *testing.T) {
	t.Parallel()
	var b busy
	release, free := b.take("tenant a", "owner x")
	if !free {
		t.Fatal("nobody has it")
	}
	for _, names := range [][]string{{"tenant a", "owner y"}, {"tenant b", "owner x"}} {
		if _, free := b.take(names...); free {
			t.Errorf("%v is taken beside another", names)
		}
	}
	if _, free := b.take("tenant b", "owner y"); !free {
		t.Error("another tenant and owner wait, or names were kept that were not given")
	}
	release()
	if _, free := b.take("tenant a", "owner x"); !free {
		t.Error("it was not given back")
	}
}
