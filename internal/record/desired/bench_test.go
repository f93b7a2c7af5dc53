package desired

import (
	"fmt"
	"strings"
	"testing"
)

func BenchmarkChecker(b *testing.B) {
	for b.Loop() {
		if _, err := newChecker(); err != nil {
			b.Fatal(err)
		}
	}
}

// thousand is a tree with n packages of one release each, in folders of 50.
func thousand(b *testing.B, n int) MapTree {
	tree := msp(b)
	pkg, release := string(tree[sevenZip]), string(tree[sevenZip9])
	publisher := tree["catalog/igor-pavlov/publisher.cue"]
	for i := range n {
		folder := fmt.Sprintf("vendor-%d", i/50)
		id := fmt.Sprintf("%s/app-%d", folder, i)
		tree["catalog/"+folder+"/publisher.cue"] = publisher
		tree["catalog/"+id+"/package.cue"] = []byte(strings.ReplaceAll(pkg, "igor-pavlov/7-zip", id))
		tree["catalog/"+id+"/24.09.cue"] = []byte(release)
	}
	return tree
}

func BenchmarkLoad1000(b *testing.B) {
	tree := thousand(b, 1000)
	for b.Loop() {
		if _, err := load(b, tree); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTenants500 is the policy lane at the size of a large operator.
func BenchmarkTenants500(b *testing.B) {
	tree := msp(b)
	text, partnerText := string(tree[tenant]), string(tree[partner])
	for i := range 500 {
		folder := fmt.Sprintf("partner-%d", i/10)
		tree["tenants/"+folder+"/partner.cue"] = []byte(partnerText)
		tree[fmt.Sprintf("tenants/%s/tenant-%d/tenant.cue", folder, i)] = []byte(strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(text, "nordic/acme", fmt.Sprintf("%s/tenant-%d", folder, i)), `{group: "Finance"},`, ""), `, exclude: ["Finance"]`, ""))
	}
	for b.Loop() {
		if _, err := load(b, tree); err != nil {
			b.Fatal(err)
		}
	}
}
