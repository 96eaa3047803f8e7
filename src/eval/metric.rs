//! Detection tasks: nab, kpi, wsd, ucr, ms.
