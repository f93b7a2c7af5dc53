package main

// profiles are Intune's profiles of updates, and its catalog of them.
func profiles() area {
	const (
		management = "/deviceManagement"
		expedite   = management + "/windowsQualityUpdateProfiles"
		quality    = management + "/windowsQualityUpdatePolicies"
		feature    = management + "/windowsFeatureUpdateProfiles"
		driver     = management + "/windowsDriverUpdateProfiles"
	)
	paths := map[string][]string{
		quality + "/{windowsQualityUpdatePolicy-id}/bulkAction":       {"post"},
		driver + "/{windowsDriverUpdateProfile-id}/executeAction":     {"post"},
		driver + "/{windowsDriverUpdateProfile-id}/syncInventory":     {"post"},
		driver + "/{windowsDriverUpdateProfile-id}/driverInventories": {"get"},
		management + "/windowsUpdateCatalogItems":                     {"get"},
	}
	for set, one := range map[string]string{
		expedite: "/{windowsQualityUpdateProfile-id}", quality: "/{windowsQualityUpdatePolicy-id}",
		feature: "/{windowsFeatureUpdateProfile-id}", driver: "/{windowsDriverUpdateProfile-id}",
	} {
		paths[set], paths[set+one] = []string{"get", "post"}, []string{"patch", "delete"}
		paths[set+one+"/assign"], paths[set+one+"/assignments"] = []string{"post"}, []string{"get"}
	}
	return area{
		paths: paths, leading: []string{"assignments"}, beta: true,
		types: []string{
			"windowsQualityUpdateProfile", "windowsQualityUpdatePolicy", "windowsFeatureUpdateProfile", "windowsDriverUpdateProfile",
			"windowsQualityUpdateCatalogItem", "windowsFeatureUpdateCatalogItem", "groupAssignmentTarget", "exclusionGroupAssignmentTarget",
		},
	}
}

// deployments are the deployment service.
func deployments() area {
	const (
		base     = "/admin/windows/updates"
		audience = base + "/deploymentAudiences/{deploymentAudience-id}"
	)
	types := []string{}
	for _, name := range []string{
		"deployment", "deploymentAudience", "azureADDevice", "catalogContent", "qualityUpdateCatalogEntry", "featureUpdateCatalogEntry",
		"deploymentSettings", "deploymentState", "rateDrivenRolloutSettings", "dateDrivenRolloutSettings",
	} {
		types = append(types, "windowsUpdates."+name)
	}
	return area{
		paths: map[string][]string{
			base + "/catalog/entries":                   {"get"},
			base + "/products":                          {"get"},
			base + "/products/{product-id}/knownIssues": {"get"},
			base + "/deploymentAudiences":               {"post"},
			audience:                                    {"get", "delete"},
			audience + "/members":                       {"get"},
			audience + "/exclusions":                    {"get"},
			audience + "/microsoft.graph.windowsUpdates.updateAudience": {"post"},
			base + "/deployments":                                                 {"get", "post"},
			base + "/deployments/{deployment-id}":                                 {"patch"},
			base + "/updatableAssets/microsoft.graph.windowsUpdates.enrollAssets": {"post"},
		},
		types: types, beta: true,
		leading: []string{
			"audience", "catalogEntry", "productRevisions", "knowledgeBaseArticle", "originatingKnowledgeBaseArticle", "resolvingKnowledgeBaseArticle",
			"assets", "addMembers", "removeMembers", "addExclusions", "removeExclusions",
		},
	}
}
