"""The codec: recordings as few bytes, within an error that always holds.

    encoder       an array becomes a stream
    recording     a recording becomes a stream part by part
    decoder       a stream becomes the array again
    info          what a stream says of itself
    kernels       where dictionaries come from
    options       what a user asks of an encoder
    block         samples become payloads that were decoded and compared
    accuracy      errors of what was decoded
    chunk         integers become a payload, in one of two modes
    stream        header, attachments, chunks, footer
    numbers       floats and integers of any dtype become integers

Their companions say in their first line what is decided there. The public names are those of `san`.
"""
