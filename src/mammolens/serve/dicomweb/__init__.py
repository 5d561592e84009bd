"""DICOMweb without HTTP: what a person or a machine may find and read, and in which form.

`viewers` says who may know of what, `headers` keeps what can be searched for, `search` answers
queries, `finding` lists the objects of a request, `media` chooses a form, `stored_object` and
`bodies` give the bytes, `rendering` makes pictures for people, `access_notes` audits.
"""
