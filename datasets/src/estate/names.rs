//! Names that a made-up estate can carry without making its reader wince.

/// What customers buy.
pub(super) const BUSINESSES: [&str; 12] = [
    "online-shop",
    "customer-portal",
    "mobile-app",
    "partner-gateway",
    "claims-desk",
    "booking",
    "billing-run",
    "field-service",
    "warehouse-desk",
    "loyalty-club",
    "trading-desk",
    "support-centre",
];

/// What a service is about; with a duty it makes a name.
pub(super) const SUBJECTS: [&str; 32] = [
    "checkout",
    "cart",
    "catalog",
    "search",
    "pricing",
    "payment",
    "invoice",
    "customer",
    "session",
    "identity",
    "order",
    "shipping",
    "stock",
    "review",
    "offer",
    "coupon",
    "address",
    "notification",
    "email",
    "report",
    "ledger",
    "fraud",
    "contract",
    "quote",
    "claim",
    "document",
    "image",
    "tax",
    "currency",
    "schedule",
    "route",
    "profile",
];

/// What a service does with it.
pub(super) const DUTIES: [&str; 8] = ["api", "web", "worker", "gateway", "store", "sync", "engine", "adapter"];

/// Who owns things.
pub(super) const TEAMS: [(&str, &str); 7] = [
    ("storefront", "APP-STOREFRONT"),
    ("payments", "APP-PAYMENTS"),
    ("core-services", "APP-CORE"),
    ("database", "DBA"),
    ("platform", "PLATFORM"),
    ("network", "NETWORK-OPS"),
    ("plant-it", "PLANT-IT"),
];

/// Who uses things.
pub(super) const CUSTOMERS: [&str; 10] = [
    "retail",
    "wholesale",
    "partners",
    "call-centre",
    "finance",
    "logistics",
    "field-crews",
    "subscribers",
    "agents",
    "plant-management",
];

/// Whose estate it is.
pub(crate) const TENANTS: [&str; 24] = [
    "northwind-foods",
    "harbour-bank",
    "alpine-rail",
    "brightwell-energy",
    "cedar-clinics",
    "delta-freight",
    "elm-insurance",
    "fjord-seafood",
    "granite-works",
    "hollis-media",
    "ivory-hotels",
    "juniper-labs",
    "kestrel-air",
    "lumen-retail",
    "maple-schools",
    "nimbus-telecom",
    "orchard-pharma",
    "pioneer-tools",
    "quarry-steel",
    "riverside-water",
    "summit-sports",
    "tidal-games",
    "umber-fashion",
    "vale-motors",
];

/// Steps of a production line.
pub(super) const CELLS: [&str; 8] =
    ["press", "weld", "paint", "assembly", "inspection", "packing", "cutting", "moulding"];
